// The side of live mode that asks the server, in a thread of its own: for the newest change first.

import java.nio.charset.StandardCharsets
import java.util.concurrent.CancellationException
import qupath.lib.objects.hierarchy.PathObjectHierarchy

/** A request under way: it ends when its answer is no longer wanted. */
class Asked {
    List<String> ids
    boolean isChange
    private volatile boolean isOver
    private volatile Closure action

    void tell(String what, double fraction) { }
    boolean isCancelled() { isOver }
    void onCancel(Closure todo) {
        action = todo
        if (isOver) todo()
    }
    void cancel() {
        isOver = true
        if (action != null) Thread.startDaemon { action() }
    }
}

/** Asks for what waits, until it ends; what comes is handed to `onAnswer`, and what has to be said to `onRemark` and `onFailure`. */
class Asker {
    private static final int AT_ONCE = 16      // prompts of one request: as many as the server does without further threads

    final Pending pending = new Pending()
    def imageData
    def project
    Map parts                                  // the other scripts, by name
    Closure<Map> now                           // the prompts by id, as they are at the moment
    Closure onAnswer, onRemark, onFailure
    private volatile Map<String, Double> crops = [:]      // side of what a model sees at once, in microns, by kind
    private volatile Asked asked
    private volatile boolean isOver

    void start() { Thread.startDaemon('nuclick-live') { work() } }

    void end() {
        isOver = true
        pending.end()
        asked?.cancel()
    }

    boolean isIdle() { pending.isIdle() && asked == null }

    /** Ends the request under way where it is for nothing by now; what it asked for waits again, where it is still there. */
    void overtake() {
        def (under, there) = [asked, now()]
        if (under == null || under.ids.any { there.containsKey(it) } && (under.isChange || !pending.isUrgent())) return
        under.cancel()
        pending.nearby(under.ids.findAll { there.containsKey(it) })
    }

    private Map settings() { parts.server.settings() }

    private void work() {
        try {
            begin()
            for (def next = pending.take(AT_ONCE); next; next = pending.take(AT_ONCE)) {
                def (there, isChange) = [now(), next.isChange]
                def some = next.ids.collect { there[it] }.findAll { it != null && !it.isIgnored }
                some.groupBy { it.isClick }.each { isClick, those -> answer(those, isChange, true) }
            }
        } catch (Throwable problem) {
            if (!isOver) onFailure(problem)
        }
    }

    /** Starts the server where there is none, and asks it once for nothing, so that the first click need not wait for it. */
    private void begin() {
        parts.server.ensure(settings(), folders(), new Asked())
        crops = parts.server.health(settings()).models.collectEntries { [it.kind, it.crop_um] }
        def middle = [imageData.getServer().getWidth() / 2d, imageData.getServer().getHeight() / 2d]
        def nowhere = new Prompt(id: UUID.randomUUID().toString(), source: UUID.randomUUID().toString(), isClick: true, className: '', plane: '',
            coordinates: middle.toString(), left: middle[0], right: middle[0], top: middle[1], bottom: middle[1])
        try {
            parts.exchange.exchange(new PathObjectHierarchy(), outlined([nowhere], settings(), false).fresh) { true }
        } catch (CancellationException ignored) {
            return      // a click has come first
        } finally {
            asked = null
        }
    }

    private void answer(List<Prompt> some, boolean isChange, boolean isFirst) {
        def settings = settings()
        try {
            def result = outlined(some, settings, isChange)
            onAnswer(some, result.fresh, result.about, settings)
        } catch (CancellationException ignored) {
            return
        } catch (ServerGone | IOException problem) {
            if (isOver) return
            if (!isFirst) throw problem
            parts.server.ensure(settings, folders(), new Asked())
            onRemark('The server was gone, and has been started again.')
            answer(some, isChange, false)
        } finally {
            asked = null
        }
    }

    /** Asks for the outlines of prompts of one sort, with those around that may matter as neighbours. */
    private Map outlined(List<Prompt> some, Map settings, boolean isChange) {
        def kind = some[0].isClick ? settings.clicks : 'gland'
        def near = parts.prompts.near(now().values(), some, 3 * cropOf(kind)).findAll { it.isClick == some[0].isClick || it.isIgnored } - some
        asked = new Asked(ids: some*.id, isChange: isChange)
        def request = parts.outlines.requestOf(imageData, some, near, settings, kind)
        def result
        try {
            result = parts.server.ask(settings, request, asked)
        } catch (NuClickException refusal) {
            // A server that QuPath started knows the folders of another project.
            if (refusal.status != 403 || !parts.server.isOurs(settings)) throw refusal
            parts.server.restart(settings, folders(), asked)
            result = parts.server.ask(settings, request, asked)
        }
        def fresh = parts.exchange.readOutlines(result.toString().getBytes(StandardCharsets.UTF_8))
        [fresh: fresh, about: parts.gson.fromJson(result.get('nuclick'), Map)]
    }

    /** Prompts in whose crops some others are drawn, beside these. */
    List<Prompt> around(Collection<Prompt> some) {
        some.groupBy { it.isClick }.collectMany { isClick, those ->
            def kind = isClick ? settings().clicks : 'gland'
            parts.prompts.near(now().values(), those, cropOf(kind) / 2).findAll { it.isClick == isClick && !it.isIgnored }
        } - some
    }

    /** Side of a crop in pixels of the image; a gland may be seen in one twice as wide. */
    private double cropOf(String kind) {
        def size = imageData.getServer().getPixelCalibration()
        def microns = (crops[kind == 'cell+nucleus' ? 'cell' : kind] ?: 50d) * (kind == 'gland' ? 2 : 1)
        size.hasPixelSizeMicrons() ? microns / size.getAveragedPixelSizeMicrons() : microns
    }

    private Set folders() { parts.server.foldersOf(project, imageData) }
}

this
