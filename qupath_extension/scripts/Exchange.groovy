// Outlines of NuClick among the objects of one image: which are still ours, and how new ones take their place.
// The menu and the script that imports results share it; QuPath 0.4 to 0.7.

import groovy.transform.CompileStatic
import groovy.transform.Field
import java.util.zip.CRC32
import org.locationtech.jts.geom.Coordinate
import org.locationtech.jts.geom.GeometryFactory
import org.locationtech.jts.geom.prep.PreparedGeometryFactory
import org.locationtech.jts.index.quadtree.Quadtree
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObject
import qupath.lib.objects.PathObjectTools
import qupath.lib.objects.hierarchy.PathObjectHierarchy

@Field final List OURS = ['NuClick: Mean probability', 'NuClick: Mark']

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
