// The actions of NuClick's menu: prompts go to the local server, outlines come back and take their place.

import java.net.ConnectException
import java.util.concurrent.CancellationException
import qupath.lib.plugins.workflow.DefaultScriptableWorkflowStep
import qupath.lib.scripting.QP

/** The progress of work that goes on without a window; the window's has the same methods. */
class Quiet {
    def current = QP.getCurrentImageData()
    void tell(String what, double fraction) { println what }
    boolean isCancelled() { false }
    void onCancel(Closure action) { }
    def change(Closure action) { action() }
    List images() { current == null ? [] : [current] }
}

/**
 * Outlines the selected prompts of the current image that are clicks or squiggles, or all of these; `object` says which:
 * `selected` takes both, but none where none is selected, and `all` every one, selected or not. Where regions are
 * selected, only what lies inside counts. `options` go before the settings.
 */
def segmentCurrent(String object, String name, Map options = [:]) {
    def imageData = QP.getCurrentImageData()
    def project = QP.getProject()
    def selected = object == 'all' || imageData == null ? [] : imageData.getHierarchy().getSelectionModel().getSelectedObjects()
    def task = taskOf(object, name, options, selected)
    inBackground(name) { progress ->
        need(imageData, 'an image')
        if (object == 'selected' && task.only.isEmpty() && task.regions.isEmpty())
            throw new NuClickException('Select annotations of points or of lines first, or a region around some.')
        segment(project, project?.getEntry(imageData), imageData, task, progress)
    }
}

Map taskOf(String object, String name, Map options, Collection selected) {
    def regions = selected.findAll { it.isAnnotation() && it.hasROI() && it.getROI().isArea() && !exchange.isFromNuClick(it) }
    [object: object, name: name, options: options, only: selected.findAll { isWanted(it, object, true) }*.getID()*.toString() as Set, regions: regions*.getROI()]
}

/** Outlines all prompts of all images of the project and saves each. One that is open is changed there, and left to be saved. */
def segmentProject() {
    def project = QP.getProject()
    if (window == null && project != null && isDone(project)) return println('The whole project is done, with its first image.')
    inBackground('Segment whole project') { progress ->
        need(project, 'a project')
        def entries = project.getImageList()
        def lines = []
        entries.eachWithIndex { entry, index ->
            if (progress.isCancelled()) throw new CancellationException()
            progress.tell("${entry.getImageName()}".toString(), index / (double) entries.size())
            try {
                def outcome = segment(project, entry, null, taskOf('all', 'Segment whole project', [:], []), progress)
                lines << "${entry.getImageName()}: ${outcome}".toString()
            } catch (NothingToDo ignored) {
                return
            } catch (NuClickException | IOException problem) {
                lines << "${entry.getImageName()}: NOT DONE. ${problem.message}".toString()
            }
        }
        lines.join('\n') ?: 'No image of the project has clicks or squiggles.'
    }
}

/** Whether this QuPath has been here before: without an image, `QuPath script` runs a script once for each image. */
boolean isDone(project) {
    System.getProperties().put('nuclick.project', project.getPath()) == project.getPath()
}

/** Removes what NuClick made from the current image, unless the user has made it theirs. */
def removeAll() {
    def imageData = QP.getCurrentImageData()
    inBackground('Remove NuClick objects') { progress ->
        need(imageData, 'an image')
        progress.change {
            def said = outlines.removeAll(imageData)
            log(imageData, 'Remove NuClick objects', [:], 'removeAll()')
            said
        }
    }
}

/** Brings in the marks that the viewer in the browser has saved for the current image. */
def takeInMarks() {
    def imageData = QP.getCurrentImageData()
    def project = QP.getProject()
    inBackground('Take in viewer marks') { progress ->
        need(imageData, 'an image')
        def entry = project?.getEntry(imageData)
        need(entry, 'an image of a project')
        progress.change {
            def said = exchange.takeIn(project, entry, imageData).join('\n')
            log(imageData, 'Take in viewer marks', [:], 'takeInMarks()')
            said
        }
    }
}

/** Switches live mode on or off. */
def toggleLive() { inWindow('Live') { live.toggle() } }

/** Ends live mode, because other scripts take over. */
def leave() { window?.later { live.watch([]) } }

/** Puts NuClick's button into the toolbar. */
def showButton() { window?.later { toolbar.install() } }

/** Opens the review of the least sure outlines, or does one of its steps: next, previous, accept, reject. */
def reviewing(String step) { inWindow('Review') { review."${step}"() } }

/** Colours outlines by sureness, or no longer. */
def toggleSureness() {
    inWindow('Colour by sureness') {
        need(QP.getCurrentImageData(), 'an image')
        window.remark('NuClick: Colour by sureness', sureness.toggle(QP.getCurrentImageData()))
    }
}

/** Turns the selected outlines into annotations, to be edited. */
def convertSelected() {
    inWindow('Convert to annotation and edit') {
        need(QP.getCurrentImageData(), 'an image')
        window.remark('NuClick: Convert to annotation and edit', editing.convert(QP.getCurrentImageData()))
    }
}

/** Does what is quick and needs QuPath's window, on its thread. */
def inWindow(String name, Closure work) {
    if (window == null) return println("NuClick: ${name} needs QuPath's window.")
    if (!window.isCalling()) return window.onThread { inWindow(name, work) }
    try {
        work()
    } catch (NuClickException problem) {
        window.remark('NuClick: ' + name, problem.message)
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
                health.models.collect { "${it.kind}: ${it.name}${it.open_terms ? ', for any use' : ''} (${it.terms})" } +
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
    if (window == null) return println(file.getText('UTF-8'))
    choices.show(file)
}

/** Ends the server that QuPath has started, and starts it with the settings of now. */
def restartServer() {
    def imageData = QP.getCurrentImageData()
    def project = QP.getProject()
    inBackground('Restart server') { progress ->
        def settings = server.settings()
        server.restart(settings, server.foldersOf(project, imageData), progress)
        "The server runs on ${server.health(settings).device}, port ${settings.port as int}.".toString()
    }
}

void need(thing, String what) {
    if (thing == null) throw new NuClickException("Open ${what} first.")
}

/** Whether an action is about an annotation; a line is a click, through a nucleus, where the user has chosen it for that. */
boolean isWanted(annotation, String object, boolean isChosen) {
    def roi = annotation.getROI()
    annotation.isAnnotation() && roi != null && (roi.isPoint() && object != 'squiggles' || roi.isLine() && (object != 'clicks' || isChosen))
}

/**
 * Outlines prompts of an image: of the one that is given, else of an entry of the project, open in a viewer or not.
 *
 * What has been opened, closed or switched in the meantime is done again where it is by then, so that the outlines
 * are where they will be saved; the server still knows them.
 */
def segment(project, entry, given, Map task, progress) {
    def isAgain = false
    while (true) {
        def shown = given ?: imageOf(entry, project, progress)
        def imageData = shown ?: entry.readImageData()
        try {
            def asked = ask(project, imageData, task, progress)
            def outcome = progress.change {
                def now = given !== null && progress.images().any { it === given } ? given : imageOf(entry, project, progress)
                if (now !== shown) return null
                def done = put(imageData, asked, task)
                if (shown === null || window === null && given === null) entry.saveImageData(imageData)
                done
            }
            if (outcome != null && isAgain) outcome.remarks.add(0, moved(entry, shown === null))
            if (outcome != null) return outcome
        } finally {
            if (shown === null) imageData.getServer().close()
        }
        if (entry == null) throw new NuClickException('The image was closed before its outlines were there, and is in no project in which they can be saved. Open it and run again.')
        given = null
        isAgain = true
    }
}

String moved(entry, boolean isSaved) {
    def end = isSaved ? 'closed in the meantime: its outlines are saved in the project.' : 'opened again in the meantime: its outlines are in it, to be saved by you.'
    "${entry.getImageName()} was ${end}".toString()
}

/** The image of an entry that some viewer shows, or null. */
def imageOf(entry, project, progress) {
    entry == null ? null : progress.images().find { project.getEntry(it) == entry }
}

/** Asks the server; returns what was asked for, under which settings, and the result. */
Map ask(project, imageData, Map task, progress) {
    def settings = server.settings() + task.options
    def requests = requestsFor(imageData, task, settings)
    def results = requests.collect { server.answer(settings, server.foldersOf(project, imageData), it, progress) }
    [settings: settings, requests: requests, result: outlines.together(results)]
}

/** A request for each kind of object that is wanted; nuclei and glands go together. */
List<String> requestsFor(imageData, Map task, Map settings) {
    def all = prompts.of(imageData)
    def groups = chosenOf(imageData, all, task).groupBy { kindOf(it, task.object, settings) }
    if (groups.keySet() == ['nucleus', 'gland'] as Set) groups = [auto: groups.nucleus + groups.gland]
    groups.collect { kind, wanted -> outlines.requestOf(imageData, wanted, all - wanted, settings, kind) }
}

/** The prompts that a task is about. */
List chosenOf(imageData, List all, Map task) {
    def isChosen = !task.only.isEmpty()
    def annotations = outlines.promptsOf(imageData).findAll { isWanted(it, task.object, isChosen) }*.getID()*.toString() as Set
    def chosen = all.findAll { it.source in annotations && (!isChosen || it.source in task.only) }
    if (chosen.isEmpty() && isChosen) throw new NuClickException('The clicks and squiggles that were chosen are not in what was saved of the image: nothing is outlined.')
    def what = task.object in ['all', 'selected'] ? 'clicks or squiggles' : task.object
    if (chosen.isEmpty()) throw new NothingToDo("There are no ${what} on this image.")
    def inside = task.regions.isEmpty() ? chosen : chosen.findAll { one -> task.regions.any { prompts.isInside(one, it) } }
    if (inside.isEmpty()) throw new NothingToDo("There are no ${what} inside the selected region.")
    inside
}

/** The kind of object that a prompt asks for. */
String kindOf(prompt, String object, Map settings) {
    object == 'clicks' || prompt.isClick ? settings.clicks : 'gland'
}

/** Puts outlines into an image, and a step into its workflow that does the same again. */
def put(imageData, Map asked, Map task) {
    def isAsBefore = isAsBefore(imageData, asked, task)
    def outcome = outlines.put(imageData, asked.result, asked.settings.remove_prompts && isAsBefore)
    if (!isAsBefore) outcome.remarks << 'Clicks or squiggles were changed in the meantime: run again for those.'
    def options = asked.settings.subMap(['clicks', 'as', 'gland_mode'])
    def models = asked.result.getAsJsonObject('nuclick').getAsJsonArray('models').collect { it.getAsJsonObject().get('name').asString }
    def call = "segmentCurrent('${task.object}', '${task.name}', [${options.collect { key, value -> "${key}: '${value}'" }.join(', ')}])"
    log(imageData, task.name, [object: task.object, models: models.join(', ')] + options, call)
    outcome
}

boolean isAsBefore(imageData, Map asked, Map task) {
    try {
        requestsFor(imageData, task, asked.settings) == asked.requests
    } catch (NuClickException ignored) {
        false
    }
}

/** Leaves a step in the image's workflow that can be run again. */
void log(imageData, String name, Map parameters, String call) {
    def script = new File(folder, 'Load.groovy').path.replace('\\', '/').replace("'", "\\'")
    def said = parameters.collectEntries { key, value -> [key, value.toString()] }
    imageData.getHistoryWorkflow().addStep(new DefaultScriptableWorkflowStep('NuClick: ' + name, said, "evaluate(new File('${script}')).${call}".toString()))
}

/** Does work off the window's thread; right here where there is no window, or a script calls from a thread of its own. */
def inBackground(String title, Closure work) {
    if (window != null && window.isCalling()) return window.run(title, work)
    def said = work(new Quiet())
    println said
    said.toString()
}

this
