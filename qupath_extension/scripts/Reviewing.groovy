// Review: from the least sure outline to the surest, accepting, rejecting, or correcting each with the next click.

import groovy.transform.Field
import javafx.geometry.Insets
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.control.CheckBox
import javafx.scene.control.Label
import javafx.scene.input.KeyCombination
import javafx.scene.layout.HBox
import javafx.scene.layout.VBox
import javafx.stage.Stage
import qupath.lib.gui.QuPathGUI

@Field final String HINT = 'Accept locks an outline. Reject removes it with its click.'
@Field final Map KEYS = ['shift+y': 'accept', 'shift+x': 'reject', 'shift+j': 'next', 'shift+h': 'previous']      // as in startup.groovy
@Field Stage stage
@Field Label label
@Field CheckBox moves
@Field def imageData
@Field List place = [-1d, '']      // sureness and id of the outline under review
@Field String current              // its id

/** Opens the review of the image that is shown, at its least sure outline. */
def open() {
    imageData = QuPathGUI.getInstance().getImageData()
    if (imageData == null) return window.remark('NuClick: Review', 'Open an image first.')
    place = [-1d, '']
    current = null
    if (stage == null) build()
    stage.show()
    next()
}

void build() {
    label = new Label()
    moves = new CheckBox('The next click is a better place for its click (else: another object)')
    moves.setSelected(true)
    def buttons = [Previous: { previous() }, Accept: { accept() }, Reject: { reject() }, Next: { next() }].collect { name, action ->
        def button = new Button(name)
        button.setOnAction { action() }
        button
    }
    def box = new VBox(10, label, new HBox(8, *buttons), moves, new Label(HINT))
    box.setPadding(new Insets(15))
    stage = new Stage()
    stage.initOwner(QuPathGUI.getInstance().getStage())
    stage.setTitle('NuClick: Review')
    stage.setScene(new Scene(box))
    KEYS.each { key, action -> stage.getScene().getAccelerators().put(KeyCombination.valueOf(key), { "${action}"() } as Runnable) }
    stage.setOnHidden { current = null }
}

boolean isOpen() { stage != null && stage.isShowing() && imageData != null && imageData.is(QuPathGUI.getInstance().getImageData()) }

void close() { stage?.hide() }

/** What there is to review: outlines of ours that nobody has made theirs, the least sure first. */
List waiting() {
    imageData.getHierarchy().getAllObjects(false)
        .findAll { sureness.sureness(it) != null && exchange.theirs(it, null) == null }
        .sort { one, other -> keyOf(one)[0] <=> keyOf(other)[0] ?: keyOf(one)[1] <=> keyOf(other)[1] }
}

List keyOf(object) { [sureness.sureness(object), exchange.idOf(object)] }

int order(List one, List other) { one[0] <=> other[0] ?: one[1] <=> other[1] }

void next() { goTo { all -> all.find { order(keyOf(it), place) > 0 } } }

void previous() { goTo { all -> all.reverse().find { order(keyOf(it), place) < 0 } } }

/** Keeps the outline as it is, and locks it. */
void accept() {
    def object = found()
    if (object == null) return
    object.setLocked(true)
    imageData.getHierarchy().fireObjectsChangedEvent(this, [object])
    next()
}

/** Takes the outline away, and its click or squiggle. */
void reject() {
    def object = found()
    if (object == null) return
    def hierarchy = imageData.getHierarchy()
    def touched = prompts.without(imageData, outlines.promptsWith(prompts.of(imageData), [object]))
    exchange.swap(hierarchy, [object], []) { changed -> hierarchy.fireObjectsChangedEvent(this, changed + touched) }
    next()
}

def found() {
    if (!isOpen()) {
        window.remark('NuClick: Review', 'Open the review first.')
        return null
    }
    def object = current == null ? null : imageData.getHierarchy().getAllObjects(false).find { exchange.idOf(it) == current }
    if (object == null) next()      // it has gone in the meantime
    object
}

def goTo(Closure choose) {
    if (!isOpen()) return open()
    def all = waiting()
    def object = choose(all)
    if (object == null) {
        label.setText(all.isEmpty() ? 'Nothing is left to review.' : "That was the last one; ${all.size()} are not accepted yet.".toString())
        return
    }
    place = keyOf(object)
    current = exchange.idOf(object)
    label.setText("${1 + all.indexOf(object)} of ${all.size()}: sureness ${String.format(Locale.US, '%.2f', place[0])}".toString())
    show(object)
}

/** Brings an outline into the middle, and selects its click's annotation, so that the points tool adds to that. */
void show(object) {
    def viewer = window.viewers().find { it.getImageData().is(imageData) }
    def roi = object.getROI()
    def size = Math.max(roi.getBoundsWidth(), roi.getBoundsHeight())
    viewer.setDownsampleFactor(Math.max(0.25d, size / (0.2d * Math.min(viewer.getView().getWidth(), viewer.getView().getHeight()))))
    viewer.setCenterPixelLocation(roi.getCentroidX(), roi.getCentroidY())
    def prompt = outlines.promptsWith(prompts.of(imageData), [object])
    def annotation = prompt ? outlines.promptsOf(imageData).find { it.getID().toString() == prompt[0].source } : null
    imageData.getHierarchy().getSelectionModel().setSelectedObject(annotation ?: object)
}

/** Whether a click that is being made would take the place of another. */
boolean isCorrecting() { isOpen() && current != null && moves.isSelected() && live.isOn() }

/** The click whose place the one that has come takes, or null; from then on, the outline of the new one is under review. */
def replacedBy(all, come) {
    if (!isCorrecting()) return null
    def before = all.find { one -> one.isClick && one.id != come.id && one.outlineIds().any { it.toString() == current } }
    if (before != null) current = come.id
    before
}

this
