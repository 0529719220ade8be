// The clicks and squiggles of an image one by one: what their outlines are called, and how they go into a request.

import com.google.gson.JsonArray
import com.google.gson.JsonElement
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import groovy.transform.CompileStatic
import qupath.lib.roi.ROIs

/** The prompts of an image, annotation by annotation; `kept` remembers those of annotations that stay as they are. */
List<Prompt> of(imageData, Map kept = [:]) {
    outlines.promptsOf(imageData).collectMany { annotation ->
        def known = kept[annotation.getID()]
        if (known != null && known.roi.is(annotation.getROI()) && known.pathClass == annotation.getPathClass()) return known.prompts
        def prompts = read(annotation)
        kept[annotation.getID()] = [roi: annotation.getROI(), pathClass: annotation.getPathClass(), prompts: prompts]
        prompts
    }
}

List<Prompt> read(annotation) {
    def geometry = JsonParser.parseString(outlines.feature(annotation)).getAsJsonObject().getAsJsonObject('geometry')
    def pathClass = annotation.getPathClass()
    prompts(annotation.getID().toString(), annotation.getName(), geometry, pathClass?.toString() ?: '', pathClass?.getColor())
}

@CompileStatic
List<Prompt> prompts(String source, String name, JsonObject geometry, String className, Integer color) {
    String type = geometry.get('type').getAsString()
    JsonArray coordinates = geometry.getAsJsonArray('coordinates')
    List<Prompt> found = []
    if (type == 'LineString' || type == 'MultiLineString') {
        JsonArray drawn = coordinates
        if (type == 'LineString') {
            drawn = new JsonArray()
            drawn.add(coordinates)
        }
        List<List<Spot>> strokes = []
        for (JsonElement stroke : drawn) strokes.add(spots(stroke.getAsJsonArray()))
        List<Spot> all = []
        for (List<Spot> stroke : strokes) all.addAll(stroke)
        found.add(placed(new Prompt(id: Naming.ofSquiggle(source, strokes), coordinates: drawn.toString()), all))
    } else if (coordinates.isEmpty()) {
        found.add(new Prompt(id: source, isClick: true, coordinates: '[]'))
    } else {
        JsonArray points = coordinates
        if (type == 'Point') {
            points = new JsonArray()
            points.add(coordinates)
        }
        Map<String, Integer> seen = [:]
        for (JsonElement point : points) {
            Spot at = spot(point.getAsJsonArray())
            int repeat = seen.getOrDefault(at.toString(), 0)
            seen.put(at.toString(), repeat + 1)
            found.add(placed(new Prompt(id: Naming.ofClick(source, at, repeat), isClick: true, coordinates: point.toString()), [at]))
        }
    }
    String plane = geometry.has('plane') ? geometry.get('plane').toString() : ''
    boolean isIgnored = className.split(':').any { String part -> part.trim().startsWith('Ignore') }
    for (Prompt one : found) {
        one.source = source
        one.name = name
        one.className = className
        one.color = color
        one.plane = plane
        one.isIgnored = isIgnored
    }
    found
}

@CompileStatic
Prompt placed(Prompt prompt, List<Spot> spots) {
    prompt.left = prompt.top = Double.MAX_VALUE
    prompt.right = prompt.bottom = -Double.MAX_VALUE
    for (Spot at : spots) {
        prompt.left = Math.min(prompt.left, at.x.doubleValue())
        prompt.right = Math.max(prompt.right, at.x.doubleValue())
        prompt.top = Math.min(prompt.top, at.y.doubleValue())
        prompt.bottom = Math.max(prompt.bottom, at.y.doubleValue())
    }
    prompt
}

@CompileStatic
List<Spot> spots(JsonArray stroke) {
    List<Spot> found = []
    for (JsonElement point : stroke) found.add(spot(point.getAsJsonArray()))
    found
}

@CompileStatic
Spot spot(JsonArray point) { new Spot(point.get(0).getAsBigDecimal(), point.get(1).getAsBigDecimal()) }

/** Prompts as a collection of features, one for each annotation; without a class of their own they have `className`. */
String collection(Collection<Prompt> prompts, String className = '') {
    def features = prompts.groupBy { it.source }.collect { source, own -> feature(own, own[0].className ?: className) }
    '{"type":"FeatureCollection","features":[' + features.join(',') + ']}'
}

String feature(List<Prompt> own, String className) {
    def (first, drawn) = [own[0], own*.coordinates]
    def shape = first.isClick ? (drawn == ['[]'] ? '[]' : "[${drawn.join(',')}]") : drawn[0]
    def plane = first.plane ? ",\"plane\":${first.plane}" : ''
    def properties = [objectType: 'annotation'] + (first.name ? [name: first.name] : [:]) + (className ? [classification: [name: className]] : [:])
    "{\"type\":\"Feature\",\"id\":\"${first.source}\",\"geometry\":{\"type\":\"${first.isClick ? 'MultiPoint' : 'MultiLineString'}\"," +
        "\"coordinates\":${shape}${plane}},\"properties\":${gson.toJson(properties)}}"
}

/** What has come and gone between two states of an image, each by id; what has another class or plane now has come. */
Map changes(Map before, Map now) {
    [come: now.findAll { id, one -> before[id]?.state != one.state }.keySet() as List, gone: before.keySet().findAll { !now.containsKey(it) } as List]
}

/** The prompts of a list that lie up to so many pixels from one of some others, on their plane. */
@CompileStatic
List<Prompt> near(Collection<Prompt> all, Collection<Prompt> some, double distance) {
    List<Prompt> found = []
    for (Prompt one : all) {
        for (Prompt other : some) {
            if (one.plane == other.plane && one.distanceTo(other) <= distance) {
                found.add(one)
                break
            }
        }
    }
    found
}

/** Whether a prompt lies inside a region as a whole. */
boolean isInside(Prompt one, region) {
    def plane = one.plane ? gson.fromJson(one.plane, Map) : [z: 0, t: 0]
    if (region.getZ() != (plane.z as int) || region.getT() != (plane.t as int)) return false
    positionsOf(one).every { region.contains(it[0], it[1]) }
}

/** The positions of a prompt in pixels of the image, [x, y] each. */
List positionsOf(Prompt one) {
    def drawn = gson.fromJson(one.coordinates, List)
    one.isClick ? (drawn ? [drawn] : []) : drawn.sum([])
}

/** Takes prompts out of an image without an event; returns the annotations that are changed or gone. */
List without(imageData, Collection<Prompt> used) {
    def hierarchy = imageData.getHierarchy()
    def bySource = used.groupBy { it.source }
    def touched = outlines.promptsOf(imageData).findAll { bySource.containsKey(it.getID().toString()) }
    touched.each { annotation ->
        def gone = bySource[annotation.getID().toString()]
        def left = gone[0].isClick ? annotation.getROI().getAllPoints().findAll { point -> !gone.any { Math.hypot(it.x - point.getX(), it.y - point.getY()) < 0.02 } } : []
        if (left.isEmpty()) hierarchy.removeObjectWithoutUpdate(annotation, true)
        else annotation.setROI(ROIs.createPointsROI(left, annotation.getROI().getImagePlane()))
    }
    touched
}

this
