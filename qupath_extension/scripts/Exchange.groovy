// Outlines of NuClick among the objects of one image: which are still ours, and how new ones take their place; and the
// marks that the viewer in the browser has saved for it.
// The menu and the script that imports results share it; QuPath 0.4 to 0.7.

import com.google.gson.JsonParser
import groovy.transform.CompileStatic
import groovy.transform.Field
import java.security.MessageDigest
import java.util.zip.CRC32
import org.locationtech.jts.geom.Coordinate
import org.locationtech.jts.geom.GeometryFactory
import org.locationtech.jts.geom.prep.PreparedGeometryFactory
import org.locationtech.jts.index.quadtree.Quadtree
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathObjectTools
import qupath.lib.objects.hierarchy.PathObjectHierarchy
import qupath.lib.projects.Projects

@Field final List OURS = ['NuClick: Mean probability', 'NuClick: Mark']
@Field final String VIEWERS = 'NuClick: Viewer mark'
@Field final String TAKEN_IN = 'NuClick: Viewer marks'

List readOutlines(byte[] json) { PathIO.readObjectsFromGeoJSON(new ByteArrayInputStream(json)) }

/**
 * Puts outlines in the place of earlier ones that `isConcerned`, by id; what the user has made theirs stays.
 * Only those `among` some objects are looked at, by default among all; `tell` gets all objects that have come or gone.
 */
Map exchange(hierarchy, Collection fresh, Closure isConcerned, Collection among = hierarchy.getAllObjects(false), Closure tell = null) {
    def wanted = fresh.collectEntries { [idOf(it), it] }
    def earlier = among.findAll { wanted.containsKey(idOf(it)) || (isFromNuClick(it) && isConcerned(idOf(it))) }
    def why = earlier.collectEntries { [it, theirs(it, wanted[idOf(it)])] }
    def (kept, ours) = earlier.split { why[it] != null }
    def (same, gone) = ours.split { isLike(it, wanted[idOf(it)]) }
    def stay = (kept + same).collect { idOf(it) } as Set
    def added = fresh.findAll { !stay.contains(idOf(it)) }
    swap(hierarchy, gone, added, tell ?: { changed -> hierarchy.fireObjectsChangedEvent(this, changed) })
    [added: added.size(), unchanged: same.size(), removed: gone.count { !wanted.containsKey(idOf(it)) }, kept: kept.countBy { why[it] }]
}

/** Says how many outlines were kept, and why; nothing where there are none. */
List<String> remarksOn(Map kept) { kept.sort().collect { reason, count -> "${count} kept as they are: ${reason}.".toString() } }

// What is ours, and what the user has made theirs

/** The objects of some ids; fast, for images with very many objects. */
@CompileStatic
List<PathObject> named(Collection<PathObject> objects, Set<UUID> ids) {
    List<PathObject> found = []
    for (PathObject object : objects) if (ids.contains(object.getID())) found.add(object)
    found
}

String idOf(object) { object.getID().toString() }

/** Whether an object has a measurement of ours: QuPath takes these away where a tool gives an object another outline. */
boolean isFromNuClick(object) { object.hasMeasurements() && OURS.any { object.getMeasurementList().getMeasurementNames().contains(it) } }

/** Why an object is the user's by now, or null. What does not say how it was written is ours where it is what we would write. */
String theirs(object, fresh) {
    if (object.isLocked()) return 'locked'
    if (object.getName() != null || object.getColor() != null) return 'given a name or a colour'
    def mark = object.getMeasurementList().get(OURS[1])
    if (mark == markOf(object) || isLike(object, fresh)) return null
    if (!isFromNuClick(object)) return 'given another outline'
    Double.isNaN(mark) ? 'not known to be as they were written' : 'given another class or copied'
}

/** What nuclick_wsi/formats/marks.py says of an object as it is now. */
double markOf(object) {
    def crc = new CRC32()
    crc.update("${idOf(object)}|${typeOf(object)}|${classOf(object)}".toString().getBytes('UTF-8'))
    crc.getValue() % (1 << 24)
}

/** Whether two objects are the same, as exactly as single precision keeps their vertices. */
boolean isLike(object, other) {
    other != null && typeOf(object) == typeOf(other) && classOf(object) == classOf(other) &&
        isShape(object.getROI(), other.getROI()) && isShape(nucleusOf(object), nucleusOf(other))
}

boolean isShape(roi, other) {
    if (roi == null || other == null) return roi == other
    roi.getImagePlane() == other.getImagePlane() && Math.abs(roi.getArea() - other.getArea()) < 0.05 + 0.01 * roi.getLength() &&
        Math.hypot(roi.getCentroidX() - other.getCentroidX(), roi.getCentroidY() - other.getCentroidY()) < 0.05
}

String typeOf(object) { object.isCell() ? 'cell' : object.isDetection() ? 'detection' : 'annotation' }

String classOf(object) { object.getPathClass()?.toString() ?: '' }

def nucleusOf(object) { object.isCell() ? object.getNucleusROI() : null }

// Marks of the viewer

/** The file that a generator has made for an image, or null; another file may have had its name first. Copies have longer names. */
File madeFor(project, entry, String generator) {
    def files = new File(Projects.getBaseDirectory(project), 'nuclick').listFiles() ?: new File[0]
    def isMade = { new String(it.withInputStream { stream -> stream.readNBytes(300) }, 'UTF-8').contains("\"generator\":\"${generator}\"") }
    files.sort { a, b -> a.name.length() <=> b.name.length() ?: a.name <=> b.name }.find { it.name.startsWith(entry.getID() + ' ') && it.name.endsWith('.geojson') && isMade(it) }
}

/**
 * Adds the marks that the viewer has saved, and takes out those of it that were deleted there. What was drawn in QuPath
 * stays, and so does what was changed there. The image notes what it has taken in, so that this is not added again.
 */
List<String> takeIn(project, entry, imageData, Closure tell = null) {
    def file = madeFor(project, entry, 'nuclick-wsi view')
    if (file == null) return ['The viewer has saved no marks of this image.']
    def bytes = file.bytes
    def digest = MessageDigest.getInstance('SHA-256').digest(bytes).encodeHex().toString()
    def hierarchy = imageData.getHierarchy()
    def there = hierarchy.getAllObjects(false).collectEntries { [idOf(it), it] }
    def (known, added) = readOutlines(bytes).split { there.containsKey(idOf(it)) }
    // Where none is there any more, this was undone: undo does not reach what the image notes.
    if (imageData.getProperty(TAKEN_IN) == digest && (known || !added)) return ['What the viewer has saved was taken in before.']
    def content = JsonParser.parseString(new String(bytes, 'UTF-8')).getAsJsonObject()
    def leftOut = (content.getAsJsonObject('left_out')?.entrySet() ?: [])*.value
    def (viewers, yours) = leftOut.split { isViewers(there[it.get('source').getAsString()]) }
    def removed = viewers.collect { there[it.get('source').getAsString()] }.unique()
    swap(hierarchy, removed, added, tell ?: { changed -> hierarchy.fireObjectsChangedEvent(this, changed) })
    imageData.setProperty(TAKEN_IN, digest)
    def lines = ["${added.size()} marks of the viewer added, ${removed.size()} removed. Save the image to keep that.".toString()]
    if (yours) lines << "${yours.size()} of your own marks were moved, deleted or given another class in the viewer. They stay here, and only nuclick-wsi run leaves them out: ${placesOf(yours)}.".toString()
    lines
}

/** Whether an annotation is a mark of the viewer's that nobody has changed here. */
boolean isViewers(object) {
    object != null && !object.isLocked() && object.getName() == null && object.getColor() == null && object.hasMeasurements() &&
        object.getMeasurementList().get(VIEWERS) == markOf(object)
}

String placesOf(Collection marks) {
    def places = marks.take(5).collect { "(${Math.round(it.getAsJsonArray('at').get(0).getAsDouble())}, ${Math.round(it.getAsJsonArray('at').get(1).getAsDouble())})" }
    places.join(' ') + (marks.size() > 5 ? ' ...' : '')
}

// Where objects lie

/**
 * Takes objects out and puts others in, each under the smallest region that contains it, and moves nothing else.
 * What is drawn under an object that is replaced stays under its successor, as far as it lies inside.
 *
 * One event that names what has changed is one step to undo, in QuPath 0.4 to 0.7: lists that are added or removed are
 * none before 0.6, and one each from then on.
 */
void swap(hierarchy, Collection gone, Collection added, Closure tell) {
    if (gone.isEmpty() && added.isEmpty()) return
    def orphans = gone.collectEntries { [idOf(it), it.getChildObjects() as List] }
    def left = gone as Set
    gone.each { hierarchy.removeObjectWithoutUpdate(it, true) }
    def regions = new Regions(hierarchy.getAnnotationObjects() + (hierarchy.getTMAGrid()?.getTMACoreList() ?: []))
    def (annotations, detections) = added.split { it.isAnnotation() }
    (annotations.sort { -it.getROI().getArea() } + detections).each { one ->
        hierarchy.addObjectBelowParent(regions.around(one) ?: hierarchy.getRootObject(), one, false)
        if (!one.isAnnotation()) return
        one.addChildObjects((orphans[idOf(one)] ?: []).findAll { !left.contains(it) && regions.contains(one, it) })
        regions.add(one)
    }
    hierarchy.getSelectionModel().deselectObjects(gone)
    tell(gone + added)
}

/** The regions of an image that objects may lie in, by the rules by which QuPath resolves its hierarchy. */
class Regions {
    private final found = new Quadtree()
    private final Map prepared = [:]

    /** Of annotations and cores of a TMA. */
    Regions(Collection objects) {
        objects.each { if (it.hasROI() && it.getROI().isArea()) add(it) }
    }

    void add(PathObject region) { found.insert(region.getROI().getGeometry().getEnvelopeInternal(), region) }

    PathObject around(PathObject object) {
        found.query(object.getROI().getGeometry().getEnvelopeInternal()).findAll { contains(it, object) }.min(PathObjectHierarchy.HIERARCHY_COMPARATOR)
    }

    boolean contains(PathObject region, PathObject object) {
        def (outer, inner) = [region.getROI(), PathObjectTools.getROI(object, true)]
        if (outer.getZ() != inner.getZ() || outer.getT() != inner.getT()) return false
        def shape = object.isDetection() ? new GeometryFactory().createPoint(new Coordinate(inner.getCentroidX(), inner.getCentroidY())) : inner.getGeometry()
        outer.getGeometry().getEnvelopeInternal().covers(shape.getEnvelopeInternal()) &&
            prepared.computeIfAbsent(region) { PreparedGeometryFactory.prepare(outer.getGeometry()) }.covers(shape)
    }
}

this
