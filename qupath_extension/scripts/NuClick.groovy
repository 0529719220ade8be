// The actions of NuClick's menu: prompts go to the local server, outlines come back and take their place.

import java.net.ConnectException
import java.util.concurrent.CancellationException
import qupath.lib.plugins.workflow.DefaultScriptableWorkflowStep
import qupath.lib.scripting.QP

/** The progress of work that goes on without a window; the window's has the same methods. */
class Quiet {
    void tell(String what, double fraction) { println what }
    boolean isCancelled() { false }
    void onCancel(Closure action) { }
    def change(Closure action) { action() }
    boolean isShown(imageData) { true }
}

/** Outlines the selected prompts of the current image that are clicks or squiggles, or all of these; `object` says which. `all` takes every one, selected or not. */
def segmentCurrent(String object, String name) {
    def imageData = QP.getCurrentImageData()
    def project = QP.getProject()
    def selected = (object == 'all' ? [] : imageData?.getHierarchy()?.getSelectionModel()?.getSelectedObjects() ?: []) as Set
    inBackground(name) { progress ->
        need(imageData, 'an image')
        def outcome = segment(imageData, project, object, selected, progress)
        def script = new File(folder, name.replace(' ', '_') + '.groovy').path.replace('\\', '/')
        def step = new DefaultScriptableWorkflowStep('NuClick: ' + name, "evaluate(new File('${script.replace("'", "\\'")}'))".toString())
        progress.change { imageData.getHistoryWorkflow().addStep(step) }
        outcome.toString()
    }
}

/** Outlines all prompts of all images of the project and saves each. An image that is open is changed there, and left to be saved. */
def segmentProject() {
    def project = QP.getProject()
    def current = QP.getCurrentImageData()
    inBackground('Segment whole project') { progress ->
        need(project, 'a project')
        def currentEntry = current == null ? null : project.getEntry(current)
        def lines = []
        def entries = project.getImageList()
        entries.eachWithIndex { entry, index ->
            if (progress.isCancelled()) throw new CancellationException()
            progress.tell("${entry.getImageName()}".toString(), index / (double) entries.size())
            def open = entry == currentEntry
            def imageData = null
            try {
                imageData = open ? current : entry.readImageData()
                if (outlines.promptsOf(imageData).isEmpty()) return
                def outcome = segment(imageData, project, 'all', [] as Set, progress)
                if (!open) entry.saveImageData(imageData)
                lines << "${entry.getImageName()}: ${outcome}".toString()
            } catch (NuClickException | IOException problem) {
                lines << "${entry.getImageName()}: NOT DONE. ${problem.message}".toString()
            } finally {
                if (!open && imageData != null) imageData.getServer().close()
            }
        }
        lines.join('\n') ?: 'No image of the project has clicks or squiggles.'
    }
}

/** Removes what NuClick made from the current image, unless the user has made it theirs. */
def removeAll() {
    def imageData = QP.getCurrentImageData()
    inBackground('Remove NuClick objects') { progress ->
        need(imageData, 'an image')
        progress.change { outlines.removeAll(imageData) }
    }
}

/** Says what is installed and what runs. */
def about() {
    inBackground('About') { progress ->
        def settings = server.settings()
        def lines
        try {
            def health = server.health(settings)
            lines = ["nuclick-wsi ${health.version} on ${health.device}, port ${settings.port as int}"] +
                health.models.collect { "${it.kind}: ${it.name} (${it.terms})" } +
                ["Slides may be opened below: ${health.allowed.join(', ') ?: 'none'}"]
        } catch (ConnectException ignored) {
            lines = ['The server does not run; the next action starts it with', settings.python]
        }
        (lines + ["Settings: ${new File(folder, 'settings.json')}", "The server's log: ${server.log(settings)}"]).join('\n')
    }
}

/** Shows the settings; in the window, they can be changed there. */
def editSettings() {
    def file = new File(folder, 'settings.json')
    if (window == null) println file.getText('UTF-8')
    else window.edit('Settings', file) { server.checked(it) }
}

void need(thing, String what) {
    if (thing == null) throw new NuClickException("Open ${what} first.")
}

def segment(imageData, project, String object, Set selected, progress) {
    def shown = progress.isShown(imageData)
    def all = outlines.promptsOf(imageData)
    def wanted = all.findAll { object == 'all' || (object == 'clicks') == it.getROI().isPoint() }
    def chosen = wanted.findAll { it in selected } ?: wanted
    if (chosen.isEmpty()) throw new NuClickException("There are no ${object == 'all' ? 'clicks or squiggles' : object} on this image.")
    def settings = server.settings()
    def request = outlines.requestOf(imageData, chosen, all - chosen, settings, object)
    def result = server.answer(settings, server.foldersOf(project, imageData), request, progress)
    progress.change {
        def changed = outlines.promptsOf(imageData) != all || outlines.requestOf(imageData, chosen, all - chosen, settings, object) != request
        def outcome = outlines.put(imageData, result, changed)
        if (shown && !progress.isShown(imageData))
            outcome.remarks << 'The image was closed in the meantime: its new outlines are lost unless it was saved. Open it and run again.'
        outcome
    }
}

/** Does work off the window's thread, or right here where there is no window. */
def inBackground(String title, Closure work) {
    if (window != null) return window.run(title, work)
    def said = work(new Quiet())
    println said
    said
}

this
