// One image: its clicks and squiggles go out as a request, outlines come in and take their place.

import com.google.gson.JsonObject
import com.google.gson.JsonParser
import java.nio.charset.StandardCharsets
import org.locationtech.jts.geom.MultiLineString
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.objects.PathObjects
import qupath.lib.objects.classes.PathClass
import qupath.lib.roi.GeometryTools

/** What came of one image, in numbers and in words for the user. */
class Outcome {
    int added, unchanged, removed
    List<Map> rejections = []        // as the server has them: reason, detail, position, kind, class
    List<String> remarks = []
    def imageData
    String toString() {
        def lines = ["${added} outlines new or changed, ${unchanged} as they were, ${removed} removed.".toString()]
        rejections.countBy { it.reason }.sort().each { reason, count -> lines << "${count} without outline: ${reason}".toString() }
        (lines + remarks).join('\n')
    }
}

/** The annotations of points and of lines. */
List promptsOf(imageData) {
    imageData.getHierarchy().getAnnotationObjects().findAll { it.hasROI() && (it.getROI().isPoint() || it.getROI().isLine()) }.sort { it.getID() }
}

/** An annotation as QuPath writes it. One of several strokes is written as its first, then gets them all: QuPath has no end with it. */
String feature(annotation) {
    def strokes = annotation.getROI().isLine() ? annotation.getROI().getGeometry() : null
    if (!(strokes instanceof MultiLineString)) return gson.toJson(annotation)
    def first = GeometryTools.geometryToROI(strokes.getGeometryN(0), annotation.getROI().getImagePlane())
    def json = JsonParser.parseString(gson.toJson(PathObjects.createAnnotationObject(first, annotation.getPathClass()))).getAsJsonObject()
    json.addProperty('id', annotation.getID().toString())
    def lines = (0..<strokes.getNumGeometries()).collect { number -> strokes.getGeometryN(number).getCoordinates().collect { [it.x, it.y] } }
    json.getAsJsonObject('geometry').addProperty('type', 'MultiLineString')
    json.getAsJsonObject('geometry').add('coordinates', gson.toJsonTree(lines))
    gson.toJson(json)
}

/** A request for the outlines of some prompts among others, each as a `kind` of object. */
String requestOf(imageData, Collection wanted, Collection neighbours, Map settings, String kind) {
    def server = imageData.getServer()
    def image = new JsonObject()
    image.add('builder', gson.toJsonTree(server.getBuilder(), ImageServerBuilder.ServerBuilder))
    image.addProperty('width', server.getWidth())
    image.addProperty('height', server.getHeight())
    def size = server.getPixelCalibration()
    if (size.hasPixelSizeMicrons())
        image.add('pixel_size_um', gson.toJsonTree([size.getPixelWidthMicrons() as double, size.getPixelHeightMicrons() as double]))
    def colors = (wanted + neighbours).findAll { it.color != null }.collectEntries { [it.className, [it.color >> 16 & 255, it.color >> 8 & 255, it.color & 255]] }
    if (settings['class']) colors.putIfAbsent(settings['class'], colorOf(settings['class'].toString()))
    def options = [object: kind, as: settings.as, gland_mode: settings.gland_mode, terms: settings.terms]
    "{\"image\":${gson.toJson(image)},\"prompts\":${prompts.collection(wanted, settings['class'])},\"neighbours\":${prompts.collection(neighbours)},".toString() +
        "\"options\":${gson.toJson(options)},\"class_colors\":${gson.toJson(colors)}}".toString()
}

/** Red, green and blue of a class, as QuPath shows it. */
List<Integer> colorOf(String className) {
    def color = PathClass.fromString(className).getColor()
    [color >> 16 & 255, color >> 8 & 255, color & 255]
}

/** Several results as one. */
JsonObject together(List<JsonObject> results) {
    def (first, others) = [results.head(), results.tail()]
    others.each { other ->
        first.getAsJsonArray('features').addAll(other.getAsJsonArray('features'))
        other.getAsJsonObject('nuclick').entrySet().findAll { it.value.isJsonArray() && it.key != 'pixel_size_um' }
            .each { first.getAsJsonObject('nuclick').getAsJsonArray(it.key).addAll(it.value) }
    }
    first
}

/** Puts the outlines in the place of those of earlier runs; `isLast` takes the prompts away that they are of, and locks them. */
Outcome put(imageData, JsonObject result, boolean isLast = false) {
    def about = gson.fromJson(result.get('nuclick'), Map)
    def (asked, known) = [about.prompts as Set, about.known as Set]
    def hierarchy = imageData.getHierarchy()
    def fresh = exchange.readOutlines(result.toString().getBytes(StandardCharsets.UTF_8))
    def used = isLast ? prompts.without(imageData, promptsWith(prompts.of(imageData), fresh)) : []
    def isTold = false
    def tell = { changed ->
        if (isLast) exchange.named(hierarchy.getAllObjects(false), fresh*.getID() as Set)*.setLocked(true)
        hierarchy.fireObjectsChangedEvent(this, changed + used)
        isTold = true
    }
    def done = exchange.exchange(hierarchy, fresh, { asked.contains(it) || !known.contains(it) }, hierarchy.getAllObjects(false), tell)
    if (used && !isTold) tell([])
    def outcome = new Outcome(imageData: imageData, added: done.added, unchanged: done.unchanged, removed: done.removed)
    outcome.rejections = about.rejections
    outcome.remarks = exchange.remarksOn(done.kept)
    if (used) outcome.remarks << 'The clicks and squiggles that were used are removed; their outlines are locked.'
    if (about.to_look_at) outcome.remarks << "${about.to_look_at.size()} outlines to look at (NuClick: Sureness below ${about.look_at_below}).".toString()
    about.remarks?.toUnique()?.each { outcome.remarks << "${it.capitalize()}.".toString() }
    if (about.enlarged) outcome.remarks << "The slide is coarser than the model's pixel size (${about.enlarged.join(', ')}): outlines are less exact.".toString()
    outcome
}

/** The prompts that some outlines are of. */
List promptsWith(Collection all, Collection found) {
    def ids = found*.getID() as Set
    all.findAll { one -> one.outlineIds().any { ids.contains(it) } }
}

/** Takes out what an image has of ours. */
String removeAll(imageData) {
    def done = exchange.exchange(imageData.getHierarchy(), []) { true }
    (["${done.removed} outlines removed.".toString()] + exchange.remarksOn(done.kept)).join('\n')
}

/** The annotation that a prompt at a place is part of, or null. */
def promptAt(imageData, double x, double y) {
    promptsOf(imageData).find { it.getROI().getAllPoints().any { Math.hypot(it.x - x, it.y - y) < 0.1 } }
}

this
