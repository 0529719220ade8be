// NuClick's button in QuPath's toolbar: live mode on and off, with the points tool at hand.

import groovy.transform.Field
import javafx.scene.control.Separator
import javafx.scene.control.ToggleButton
import javafx.scene.control.Tooltip
import javafx.scene.paint.Color
import javafx.scene.shape.Circle
import javafx.scene.Group
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.viewer.tools.PathTools

@Field final String ID = 'nuclick-live'
@Field ToggleButton button

/** Puts the button behind QuPath's tools, in the place of an earlier one. */
void install() {
    def gui = QuPathGUI.getInstance()
    button = new ToggleButton()
    button.setId(ID)
    button.setGraphic(picture())
    button.setTooltip(new Tooltip('NuClick live: each click and line gets its outline at once'))
    button.setOnAction { live.toggle() }
    def items = gui.getToolBar().getItems()
    items.removeIf { it.getId() == ID }
    def gaps = items.findIndexValues { it instanceof Separator }
    items.add(gaps.size() > 1 ? gaps[1] as int : items.size(), button)
    gui.imageDataProperty().addListener { property, before, now ->
        live.watch(window.images())
        review.close()
    }
}

def picture() {
    def ring = new Circle(8, 8, 6, Color.TRANSPARENT)
    ring.setStroke(Color.MEDIUMSEAGREEN)
    ring.setStrokeWidth(2)
    new Group(ring, new Circle(8, 8, 2, Color.MEDIUMSEAGREEN))
}

/** Shows whether live mode is on. */
void show(boolean isOn) { button?.setSelected(isOn) }

/** Takes QuPath's points tool. */
void choosePoints() { choose(PathTools.POINTS) }

void choose(tool) {
    def gui = QuPathGUI.getInstance()
    // QuPath 0.5 moved its tools into a manager.
    def keeper = gui.metaClass.respondsTo(gui, 'getToolManager') ? gui.getToolManager() : gui
    keeper.setSelectedTool(tool)
}

this
