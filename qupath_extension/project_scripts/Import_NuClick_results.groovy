// Brings the results of nuclick-wsi, and the marks of its viewer, into the hierarchy of the current image: Automate >
// Project scripts, Run for project, or `QuPath script -s`. Running it again replaces what it brought before; what you
// have locked or changed stays.
// Made by nuclick-wsi, which writes it anew: keep changes under another name.
// QuPath 0.4 to 0.7.

// @EXCHANGE@

def entry = getProjectEntry()
if (entry == null) {
    println 'NuClick: open an image of the project first.'
    return
}
// Marks first: results of a run on them come under their ids.
if (madeFor(getProject(), entry, 'nuclick-wsi view') != null)
    takeIn(getProject(), entry, getCurrentImageData()).each { println "NuClick: ${entry.getImageName()}: ${it}" }
def file = madeFor(getProject(), entry, 'nuclick-wsi')
if (file == null) {
    println 'NuClick: no results for ' + entry.getImageName()
    return
}
def done = exchange(getCurrentHierarchy(), readOutlines(file.bytes)) { true }
println "NuClick: ${entry.getImageName()}: ${done.added} objects from ${file.name}, ${done.unchanged} as they were, ${done.removed} removed"
remarksOn(done.kept).each { println 'NuClick: ' + it }
