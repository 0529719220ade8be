// Turns outlines into annotations that QuPath's own tools can edit; they are the user's from then on.

import qupath.lib.gui.viewer.tools.PathTools
import qupath.lib.objects.PathObjects

/** Turns the selected outlines into annotations with the same ids, and takes the brush; says what it did. */
String convert(imageData) {
    def hierarchy = imageData.getHierarchy()
    def chosen = hierarchy.getSelectionModel().getSelectedObjects().findAll { it.isDetection() && exchange.isFromNuClick(it) }
    if (chosen.isEmpty()) throw new NuClickException('Select outlines of NuClick first: double-click on one, or several with Ctrl.')
    def made = chosen.collect { one ->
        def annotation = PathObjects.createAnnotationObject(one.getROI(), one.getPathClass())
        annotation.setID(one.getID())
        annotation
    }
    exchange.swap(hierarchy, chosen, made) { changed -> hierarchy.fireObjectsChangedEvent(this, changed) }
    hierarchy.getSelectionModel().setSelectedObjects(made, made.last())
    toolbar.choose(PathTools.BRUSH)
    "${made.size()} outlines are annotations now, and yours: NuClick leaves them as they are. The brush edits the selected one."
}

this
