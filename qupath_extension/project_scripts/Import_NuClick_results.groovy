// Brings the results of nuclick-wsi into the hierarchy of the current image: Automate > Project scripts, Run for project,
// or `QuPath script -s`. Running it again replaces what it brought before; what is locked, or was made another type of
// object, stays as it is. Made by nuclick-wsi, which writes it anew: keep changes under another name.
// QuPath 0.4 to 0.7.

import qupath.lib.io.PathIO

def entry = getProjectEntry()
if (entry == null) {
    println 'NuClick: open an image of the project first.'
    return
}
def files = new File(buildFilePath(PROJECT_BASE_DIR, 'nuclick')).listFiles() ?: new File[0]
def file = files.find { it.name.startsWith(entry.getID() + ' ') && it.name.endsWith('.geojson') }
if (file == null) {
    println 'NuClick: no results for ' + entry.getImageName()
    return
}

def results = PathIO.readObjects(file)
def annotation = results.collectEntries { [(it.getID()): it.isAnnotation()] }
def hierarchy = getCurrentHierarchy()
def ours = hierarchy.getAllObjects(false).findAll { one ->
    annotation.containsKey(one.getID()) || one.getMeasurementList().getMeasurementNames().contains('NuClick: Mean probability')
}
def kept = ours.findAll { one ->
    one.isLocked() || (annotation.containsKey(one.getID()) && one.isAnnotation() != annotation[one.getID()])
}
def keptIds = kept.collect { it.getID() } as Set
def fresh = results.findAll { !keptIds.contains(it.getID()) }

// One change of many objects, and nothing of the user's moves: resolving the whole hierarchy would move it.
hierarchy.removeObjects(ours.findAll { !keptIds.contains(it.getID()) }, true)
hierarchy.insertPathObjects(fresh.findAll { it.isDetection() })
hierarchy.addObjects(fresh.findAll { !it.isDetection() })
println 'NuClick: ' + entry.getImageName() + ': ' + fresh.size() + ' objects from ' + file.name + ', ' + kept.size() + ' kept'
