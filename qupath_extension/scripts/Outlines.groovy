// One image: its clicks and squiggles go out as a request, outlines come in and take their place.

import com.google.gson.JsonObject
import com.google.gson.JsonParser
import java.nio.charset.StandardCharsets
import org.locationtech.jts.geom.MultiLineString
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.objects.PathObjects
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
    json.addProperty('id', annotation.getID().toString())
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
    def options = [object: kind, as: settings.as, gland_mode: settings.gland_mode, terms: settings.terms]
    "{\"image\":${gson.toJson(image)},\"prompts\":${collection(prompts)},\"neighbours\":${collection(neighbours)},".toString() +
        "\"options\":${gson.toJson(options)},\"class_colors\":${gson.toJson(colors)}}".toString()
}

/** Puts the outlines in the place of those of earlier runs. */
Outcome put(imageData, JsonObject result) {
    def about = gson.fromJson(result.get('nuclick'), Map)
    def (asked, known) = [about.prompts as Set, about.known as Set]
    def fresh = exchange.readOutlines(result.toString().getBytes(StandardCharsets.UTF_8))
    def done = exchange.exchange(imageData.getHierarchy(), fresh) { asked.contains(it) || !known.contains(it) }
    def outcome = new Outcome(imageData: imageData, added: done.added, unchanged: done.unchanged, removed: done.removed)
    outcome.rejections = about.rejections
    outcome.remarks = exchange.remarksOn(done.kept)
    if (about.to_look_at) outcome.remarks << "${about.to_look_at.size()} outlines to look at (NuClick: Sureness below ${about.look_at_below}).".toString()
    about.remarks?.each { outcome.remarks << "${it.capitalize()}.".toString() }
    if (about.enlarged) outcome.remarks << "The slide is coarser than the model's pixel size (${about.enlarged.join(', ')}): outlines are less exact.".toString()
    outcome
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
