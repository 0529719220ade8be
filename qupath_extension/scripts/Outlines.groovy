// One image: its clicks and squiggles go out as a request, outlines come in and take their place.

import com.google.gson.JsonObject
import com.google.gson.JsonParser
import java.nio.charset.StandardCharsets
import org.locationtech.jts.geom.MultiLineString
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObjects
import qupath.lib.roi.GeometryTools

MARKS = 'NuClick outlines'           // property of the image: what each outline was like when it was made
MEASUREMENT = 'NuClick: Mean probability'

/** What came of one image, in numbers and in words for the user. */
class Outcome {
    int added, unchanged, removed
    List<String> rejections = []
    List<String> remarks = []
    String toString() {
        def lines = ["${added} outlines new or changed, ${unchanged} as they were, ${removed} removed.".toString()]
        rejections.countBy { it }.sort().each { reason, count -> lines << "${count} without outline: ${reason}".toString() }
        (lines + remarks).join('\n')
    }
}

/** The annotations of points and of lines. */
List promptsOf(imageData) {
    imageData.getHierarchy().getAnnotationObjects().findAll { it.hasROI() && (it.getROI().isPoint() || it.getROI().isLine()) && !isOurs(it) }.sort { it.getID() }
}

/** As text, object by object: QuPath cannot write its objects as a tree of JSON. */
String collection(annotations) {
    '{"type":"FeatureCollection","features":[' + annotations.collect { feature(it) }.join(',') + ']}'
}

/** An annotation as QuPath writes it. One of several strokes is written as its first, then gets them all: QuPath has no end with it. */
String feature(annotation) {
    def strokes = annotation.getROI().isLine() ? annotation.getROI().getGeometry() : null
    if (!(strokes instanceof MultiLineString)) return gson.toJson(annotation)
    def first = GeometryTools.geometryToROI(strokes.getGeometryN(0), annotation.getROI().getImagePlane())
    def json = JsonParser.parseString(gson.toJson(PathObjects.createAnnotationObject(first, annotation.getPathClass()))).getAsJsonObject()
    json.addProperty('id', idOf(annotation))
    def lines = (0..<strokes.getNumGeometries()).collect { number -> strokes.getGeometryN(number).getCoordinates().collect { [it.x, it.y] } }
    json.getAsJsonObject('geometry').addProperty('type', 'MultiLineString')
    json.getAsJsonObject('geometry').add('coordinates', gson.toJsonTree(lines))
    gson.toJson(json)
}

String requestOf(imageData, prompts, neighbours, settings, String object) {
    def server = imageData.getServer()
    def image = new JsonObject()
    image.add('builder', gson.toJsonTree(server.getBuilder(), ImageServerBuilder.ServerBuilder))
    image.addProperty('width', server.getWidth())
    image.addProperty('height', server.getHeight())
    def size = server.getPixelCalibration()
    if (size.hasPixelSizeMicrons())
        image.add('pixel_size_um', gson.toJsonTree([size.getPixelWidthMicrons() as double, size.getPixelHeightMicrons() as double]))
    def kind = object == 'squiggles' ? 'gland' : object == 'clicks' ? settings.clicks : 'auto'
    def classes = (prompts + neighbours)*.getPathClass().findAll { it != null && it.getColor() != null }.unique()
    def colors = classes.collectEntries { [it.toString(), [it.getColor() >> 16 & 255, it.getColor() >> 8 & 255, it.getColor() & 255]] }
    def options = [object: kind, as: settings.as, gland_mode: settings.gland_mode]
    "{\"image\":${gson.toJson(image)},\"prompts\":${collection(prompts)},\"neighbours\":${collection(neighbours)},".toString() +
        "\"options\":${gson.toJson(options)},\"class_colors\":${gson.toJson(colors)}}".toString()
}

/** Puts the outlines in the place of those of earlier runs; what the user has made theirs stays. */
Outcome put(imageData, JsonObject result, boolean changed) {
    def about = gson.fromJson(result.get('nuclick'), Map)
    def hierarchy = imageData.getHierarchy()
    def fresh = PathIO.readObjectsFromGeoJSON(new ByteArrayInputStream(result.toString().getBytes(StandardCharsets.UTF_8)))
    def marks = marksOf(imageData)
    def freshMarks = fresh.collectEntries { [idOf(it), mark(it)] }
    def asked = about.prompts as Set
    def known = about.known as Set
    def old = outlinesOf(imageData).findAll { asked.contains(idOf(it)) || !known.contains(idOf(it)) }
    def (kept, others) = old.split { isTheirs(it, marks) }
    def (same, gone) = others.split { mark(it) == freshMarks[idOf(it)] }
    def stay = (kept + same).collect { idOf(it) } as Set
    def added = fresh.findAll { !stay.contains(idOf(it)) }
    hierarchy.removeObjects(gone, true)
    hierarchy.addObjects(added)
    def made = (added + same).collectEntries { [idOf(it), mark(it)] }
    def removed = (gone.collect { idOf(it) } as Set) - made.keySet()
    keepMarks(imageData, marks.findAll { !removed.contains(it.key) } + made)
    def outcome = new Outcome(added: added.size(), unchanged: same.size(), removed: removed.size())
    outcome.rejections = about.rejections.collect { it.reason }
    if (kept) outcome.remarks << "${kept.size()} outlines kept as they are: ${theirs()}".toString()
    if (changed) outcome.remarks << 'Clicks or squiggles were changed in the meantime: run again for those.'
    if (about.enlarged) outcome.remarks << "The slide is coarser than the model's pixel size (${about.enlarged.join(', ')}): outlines are less exact.".toString()
    outcome
}

/** Takes out what an image has of ours; what the user has made theirs stays. */
String removeAll(imageData) {
    def marks = marksOf(imageData)
    def (kept, gone) = outlinesOf(imageData).split { isTheirs(it, marks) }
    imageData.getHierarchy().removeObjects(gone, true)
    keepMarks(imageData, marks.subMap(kept.collect { idOf(it) }))
    "${gone.size()} outlines removed." + (kept ? " ${kept.size()} kept: ${theirs()}" : '')
}

// What is ours, and what the user has made theirs

String idOf(object) { object.getID().toString() }

boolean isOurs(object) { !object.isRootObject() && object.getMeasurementList().getMeasurementNames().contains(MEASUREMENT) }

List outlinesOf(imageData) { imageData.getHierarchy().getAllObjects(false).findAll { isOurs(it) } as List }

/** How an outline was made: an outline that is like this still has not been touched. */
String mark(object) {
    def roi = object.getROI()
    [object.isAnnotation() ? 'annotation' : 'detection', object.getPathClass()?.toString() ?: '', roi.getNumPoints(), Math.round(roi.getArea()),
     Math.round(roi.getCentroidX() * 4), Math.round(roi.getCentroidY() * 4)].join('|')
}

boolean isTheirs(object, Map marks) {
    def made = marks[idOf(object)]
    object.isLocked() || (made != null && made != mark(object))
}

String theirs() { 'they are locked, or were changed or reclassified by you.' }

Map marksOf(imageData) {
    def text = imageData.getProperty(MARKS)
    text == null ? [:] : gson.fromJson(text.toString(), Map)
}

void keepMarks(imageData, Map marks) { imageData.setProperty(MARKS, gson.toJson(marks)) }

this
