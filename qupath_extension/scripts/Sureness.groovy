// Colours outlines by how sure they are, with QuPath's own map of a measurement: no object is changed for it.

import groovy.transform.Field
import qupath.lib.color.ColorMaps
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.tools.MeasurementMapper

@Field final String NAME = 'NuClick: Sureness'
@Field def mapper

boolean isOn() { mapper != null && mapper.is(options().getMeasurementMapper()) }

/** Switches the colours on, or off; says what it did. */
String toggle(imageData) {
    if (isOn()) {
        options().resetMeasurementMapper()
        return 'Outlines have the colours of their classes.'
    }
    apply(imageData) ? 'Outlines are red where they are unsure (0.5), yellow, and green where they are sure (1).' : 'There are no outlines with a sureness on this image: segment some first. Annotations keep their colours.'
}

/** Switches the colours on where there is something to colour; returns whether. */
boolean apply(imageData) {
    if (isOn()) return true
    def outlines = imageData.getHierarchy().getDetectionObjects().findAll { sureness(it) != null }
    if (outlines.isEmpty()) return false
    def colors = ColorMaps.createColorMap(NAME, [215, 255, 26] as int[], [48, 220, 152] as int[], [39, 70, 80] as int[])
    mapper = new MeasurementMapper(colors, NAME, outlines)
    mapper.setDisplayMinValue(0.5)
    mapper.setDisplayMaxValue(1)
    options().setMeasurementMapper(mapper)
    true
}

/** The Dice that an outline is estimated to reach, or null. */
Double sureness(object) {
    if (!object.hasMeasurements() || !object.getMeasurementList().getMeasurementNames().contains(NAME)) return null
    object.getMeasurementList().get(NAME)
}

def options() { QuPathGUI.getInstance().getOverlayOptions() }

this
