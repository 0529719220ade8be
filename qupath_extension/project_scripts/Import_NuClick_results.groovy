// Brings the results of nuclick-wsi into the hierarchy of the current image: Automate > Project scripts, Run for project,
// or `QuPath script -s`. Running it again replaces what it brought before; what you have locked or changed stays.
// Made by nuclick-wsi, which writes it anew: keep changes under another name.
// QuPath 0.4 to 0.7.

// @EXCHANGE@

def entry = getProjectEntry()
if (entry == null) {
    println 'NuClick: open an image of the project first.'
    return
}
def files = new File(buildFilePath(PROJECT_BASE_DIR, 'nuclick')).listFiles() ?: new File[0]
// Another file may have had the name first; then the results are beside it under another.
def isOurs = { new String(it.withInputStream { stream -> stream.readNBytes(300) }, 'UTF-8').contains('"generator":"nuclick-wsi"') }
def file = files.sort { it.name }.find { it.name.startsWith(entry.getID() + ' ') && it.name.endsWith('.geojson') && isOurs(it) }
if (file == null) {
    println 'NuClick: no results for ' + entry.getImageName()
    return
}
def done = exchange(getCurrentHierarchy(), readOutlines(file.bytes)) { true }
println "NuClick: ${entry.getImageName()}: ${done.added} objects from ${file.name}, ${done.unchanged} as they were, ${done.removed} removed"
remarksOn(done.kept).each { println 'NuClick: ' + it }
