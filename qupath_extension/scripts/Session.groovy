// Live mode: while it is on, outlines follow the clicks and squiggles of one image. The window's thread sees what has
// changed and puts outlines; Asking.groovy has the thread that asks the server.

import groovy.transform.Field
import javafx.application.Platform
import javafx.scene.control.Alert
import qupath.lib.gui.QuPathGUI
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyEvent
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyListener
import qupath.lib.plugins.ParallelTileObject
import qupath.lib.roi.ROIs

/** Live mode on one image. */
class LiveMode implements PathObjectHierarchyListener {
    private static final int REMEMBERED = 5000

    final def imageData
    final Map parts                            // the other scripts, by name
    final Closure atEnd
    final List<Double> seconds = [].asSynchronized()      // from each change to its outline
    private final def hierarchy
    private final Asker asker
    private final Map kept = [:]
    private final Map<String, List> outlinesOf = new LinkedHashMap<>()      // as the user left them, by prompt
    private final Set<UUID> made = []          // all outlines that ever came in live mode
    private final Map<String, Long> since = [:]
    private final Set<UUID> outdated = []      // outlines that stay until those come that take their place
    private volatile Map<String, Prompt> now
    private volatile boolean isOn = true
    private boolean isOwn
    private def root

    LiveMode(imageData, Map parts, Closure atEnd) {
        this.imageData = imageData
        this.parts = parts
        this.atEnd = atEnd
        hierarchy = imageData.getHierarchy()
        now = read()
        root = hierarchy.getRootObject()
        hierarchy.addListener(this)
        asker = new Asker(imageData: imageData, project: QuPathGUI.getInstance().getProject(), parts: parts, now: { now })
        asker.onAnswer = { some, fresh, about, settings -> Platform.runLater { put(some, fresh, about, settings) } }
        asker.onRemark = { said -> Platform.runLater { parts.window.remark('NuClick: Live', said) } }
        asker.onFailure = { problem -> Platform.runLater { fail(problem) } }
        asker.start()
    }

    boolean isOn() { isOn }

    /** Whether all changes have their outlines, those of neighbours included. */
    boolean isIdle() { asker.isIdle() }

    /** Ends live mode. An undo still takes outlines with their points, until the image goes. */
    void end() {
        isOn = false
        asker.end()
        if (outdated) remove(outdated)
        atEnd()
    }

    /** The image is shown no longer. */
    void close() {
        if (isOn) end()
        hierarchy.removeListener(this)
    }

    private void fail(Throwable problem) {
        if (!isOn) return
        if (!(problem instanceof NuClickException)) problem.printStackTrace()
        end()
        parts.window.say(Alert.AlertType.ERROR, 'NuClick: Live', "Live mode has ended. ${problem.message ?: problem}".toString(), QuPathGUI.getInstance().getStage())
    }

    // What changes, on the window's thread

    void hierarchyChanged(PathObjectHierarchyEvent event) {
        if (isOwn || event.isObjectMeasurementEvent()) return
        def begun = System.nanoTime()
        if (Platform.isFxApplicationThread()) follow(event.isChanging(), begun)
        else Platform.runLater { follow(false, begun) }
    }

    private Map<String, Prompt> read() { parts.prompts.of(imageData, kept).collectEntries { [it.id, it] } }

    private void follow(boolean isChanging, long begun) {
        def isRestored = !root.is(hierarchy.getRootObject())      // by an undo or redo, which put another tree there
        if (!isOn && !isRestored || isChanging && (parts.server.settings().remove_prompts || parts.review.isCorrecting())) return
        def (before, after) = [now, read()]
        // A line counts when it is finished, a point where it is pressed.
        if (isChanging) after = after.findAll { it.value.isClick } + before.findAll { !it.value.isClick }
        def changes = parts.prompts.changes(before, after)
        now = after
        root = hierarchy.getRootObject()
        if (isRestored) restore()
        else forgetDeleted()
        if (isOn && (changes.come || changes.gone)) change(corrected(changes), before, begun)
    }

    /** In a review, the next click takes the place of the one whose outline is looked at. */
    private Map corrected(Map changes) {
        def come = changes.come.collect { now[it] }
        def old = come.size() == 1 && come[0].isClick && changes.gone.isEmpty() ? parts.review.replacedBy(now.values(), come[0]) : null
        if (old == null) return changes
        isOwn = true
        try {
            show(parts.prompts.without(imageData, [old]))
        } finally {
            isOwn = false
        }
        now = now.findAll { it.key != old.id }
        changes + [gone: [old.id]]
    }

    private void change(Map changes, Map before, long begun) {
        def gone = changes.gone.collect { before[it] }
        def come = changes.come.collect { now[it] }
        def wanted = come.findAll { !it.isIgnored && it.coordinates != '[]' }
        def left = gone.collectMany { it.outlineIds() } as Set
        if (wanted) outdated.addAll(left)
        else remove(left)
        changes.gone.each { since.remove(it) }
        wanted.each { since[it.id] = begun }
        asker.pending.forget(changes.gone)
        asker.pending.changed(wanted*.id)
        asker.pending.nearby(withOutlines(asker.around(gone + come.findAll { it.isIgnored }))*.id)
        asker.overtake()
    }

    /** After an undo or redo: outlines that came in live mode are there again, or gone, with their prompts. */
    private void restore() {
        def wanted = now.values().collectMany { it.outlineIds() } as Set
        def found = named(made).groupBy { it.getID() }
        def with = outlinesOf.findAll { now.containsKey(it.key) }
        def back = with.collectMany { id, some -> some.findAll { !found.containsKey(it.getID()) } }
        back.each { it.getParent()?.removeChildObject(it) }
        place(back, found.keySet() - wanted)
        with.each { id, some -> outlinesOf[id] = some.collect { found[it.getID()]?.first() ?: it } }
    }

    /** What the user has deleted does not come back with an undo of something else. */
    private void forgetDeleted() { outlinesOf.values().removeIf { some -> some && some.every { it.getParent() == null } } }

    // Answers, on the window's thread

    private void put(List<Prompt> some, List fresh, Map about, Map settings) {
        if (!isOn) return
        def valid = some.findAll { now[it.id]?.state == it.state }
        def ids = valid.collectMany { it.outlineIds() } as Set
        def those = fresh.findAll { ids.contains(it.getID()) }
        def fromChanges = valid.findAll { since.containsKey(it.id) }
        place(those, ids + outdated, settings.remove_prompts ? parts.outlines.promptsWith(valid, those) : [])
        outdated.clear()
        def found = named(ids).groupBy { it.getID() }
        made.addAll(those*.getID())
        valid.each { one ->
            outlinesOf.remove(one.id)
            outlinesOf[one.id] = one.outlineIds().collectMany { found[it] ?: [] }
            def begun = since.remove(one.id)
            if (begun != null) seconds << (System.nanoTime() - begun) / 1e9d
        }
        outlinesOf.keySet().take(outlinesOf.size() - REMEMBERED).each { outlinesOf.remove(it) }
        asker.pending.nearby(withOutlines(asker.around(fromChanges) - valid)*.id)
        if (settings.sureness_colors) parts.sureness.apply(imageData)
        def refused = about.rejections.findAll { refusal -> fromChanges.any { it.id == refusal.prompt } }
        if (refused) parts.window.remark('NuClick: Live', 'No outline: ' + refused*.reason.toUnique().join(', ') + '.')
    }

    /**
     * Puts outlines in the place of others, with no step of their own to undo: a point is undone with its outline.
     * Prompts that are used up go with it, and lock what they leave.
     */
    private void place(Collection fresh, Set<UUID> ids, Collection used = []) {
        def among = named(ids + fresh*.getID())
        isOwn = true
        try {
            def touched = used ? parts.prompts.without(imageData, used) : []
            if (used) now = now.findAll { id, one -> !used.any { it.id == id } }
            def isTold = false
            def tell = { changed -> show(changed + touched); isTold = true }
            parts.exchange.exchange(hierarchy, fresh, { ids.contains(UUID.fromString(it)) }, among, tell)
            if (used) named(fresh*.getID() as Set)*.setLocked(true)
            if (touched && !isTold) show(touched)
        } finally {
            isOwn = false
        }
    }

    private void remove(Set<UUID> ids) {
        place([], ids)
        outdated.removeAll(ids)
    }

    /**
     * Tells QuPath that something within the bounds of some objects has changed. Its undo manager takes no notice of the
     * tiles with which QuPath's own commands say so while they run; all others of its parts do.
     */
    private void show(Collection changed) {
        if (changed.isEmpty()) return
        def rois = changed*.getROI()
        def (left, top) = [rois*.getBoundsX().min(), rois*.getBoundsY().min()]
        def (right, bottom) = [rois.collect { it.getBoundsX() + it.getBoundsWidth() }.max(), rois.collect { it.getBoundsY() + it.getBoundsHeight() }.max()]
        def box = ROIs.createRectangleROI(left, top, right - left, bottom - top, rois[0].getImagePlane())
        hierarchy.fireObjectsChangedEvent(this, tileOf(box) ?: changed)
    }

    private List tileOf(box) {
        try {
            def maker = ParallelTileObject.getDeclaredConstructors().find { it.getParameterCount() == 4 }
            maker.setAccessible(true)
            [maker.newInstance(null, box, hierarchy, null)]
        } catch (ReflectiveOperationException | RuntimeException ignored) {
            null      // another QuPath: outlines are steps of their own to undo
        }
    }

    private List named(Set<UUID> ids) { ids ? parts.exchange.named(hierarchy.getAllObjects(false), ids) : [] }

    private List<Prompt> withOutlines(Collection<Prompt> some) {
        def there = named(some.collectMany { it.outlineIds() } as Set)*.getID() as Set
        some.findAll { one -> one.outlineIds().any { there.contains(it) } }
    }
}

@Field LiveMode session

/** Switches live mode on for the image that is shown, or off. */
def toggle() {
    if (isOn()) {
        session.end()
        return 'NuClick: Live is off'
    }
    def gui = QuPathGUI.getInstance()
    def imageData = gui.getImageData()
    session?.close()
    if (imageData == null) {
        toolbar.show(false)
        window.remark('NuClick: Live', 'Open an image first.')
        return 'NuClick: no image'
    }
    session = new LiveMode(imageData, binding.variables, { toolbar.show(false) })
    toolbar.show(true)
    toolbar.choosePoints()
    'NuClick: Live is on'
}

boolean isOn() { session != null && session.isOn() }

/** Ends live mode when its image is no longer shown. */
void watch(List images) {
    if (session == null || images.any { it.is(session.imageData) }) return
    def wasOn = session.isOn()
    session.close()
    session = null
    if (wasOn) window.remark('NuClick: Live', 'Live mode has ended with its image.')
}

this
