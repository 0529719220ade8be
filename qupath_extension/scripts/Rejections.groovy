// The prompts that got no outline, in a window beside the image: choosing one shows its place.

import javafx.geometry.Insets
import javafx.scene.Scene
import javafx.scene.control.Label
import javafx.scene.control.ListView
import javafx.scene.layout.VBox
import javafx.stage.Stage
import qupath.lib.gui.QuPathGUI

/** Shows what came of one image, with its rejections by reason and from top to bottom. */
void show(String title, outcome, List viewers) {
    def found = outcome.rejections.sort(false) { one, other -> one.reason <=> other.reason ?: (one.position?.getAt(1) ?: 0) <=> (other.position?.getAt(1) ?: 0) }
    def list = new ListView()
    list.getItems().setAll(found.collect { describe(it) })
    list.getSelectionModel().selectedIndexProperty().addListener { property, before, now ->
        if (now >= 0) goTo(outcome.imageData, found[now as int], viewers)
    }
    def box = new VBox(10, new Label(outcome.toString()), new Label('Choose one to see where it is:'), list)
    box.setPadding(new Insets(15))
    list.setPrefSize(520, 240)
    def stage = new Stage()
    stage.initOwner(QuPathGUI.getInstance().getStage())
    stage.setTitle(title)
    stage.setScene(new Scene(box))
    stage.show()
}

String describe(Map rejection) {
    def place = rejection.position ? "at ${rejection.position.collect { Math.round(it) }.join(', ')}" : 'without a place'
    "${rejection.kind ?: 'prompt'} ${place}: ${rejection.reason}".toString() + (rejection.detail ? " (${rejection.detail})" : '')
}

/** Brings a prompt into the middle of the viewer of its image, large enough to be seen, and selects its annotation. */
void goTo(imageData, Map rejection, List viewers) {
    def viewer = viewers.find { it.getImageData() === imageData }
    if (viewer == null || !rejection.position) return
    def (x, y) = rejection.position
    def annotation = outlines.promptAt(imageData, x, y)
    imageData.getHierarchy().getSelectionModel().setSelectedObject(annotation)
    viewer.setDownsampleFactor(Math.min(viewer.getDownsampleFactor(), 0.5d))
    viewer.setCenterPixelLocation(x, y)
}

this
