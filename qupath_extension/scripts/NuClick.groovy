// What all NuClick actions share: prompts go to the local server, outlines come back and take their place.
// Works in QuPath 0.4 to 0.7, in the window and under `QuPath script`; each action is a small script beside this one.
// Nothing here needs the window: what does is in Window.groovy, which is loaded only where there is one.

import com.google.gson.JsonObject
import com.google.gson.JsonParseException
import com.google.gson.JsonParser
import java.net.ConnectException
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.charset.StandardCharsets
import java.time.Duration
import java.util.concurrent.CancellationException
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.io.GsonTools
import qupath.lib.io.PathIO
import qupath.lib.plugins.workflow.DefaultScriptableWorkflowStep
import qupath.lib.scripting.QP

class NuClickException extends RuntimeException {
    int status
    NuClickException(String message, int status = 0) { super(message); this.status = status }
}

/** What came of one image, in numbers and in words for the user. */
class Outcome {
    int added, unchanged, removed
    List<String> rejections = []
    List<String> remarks = []
    String toString() {
        def lines = ["${added} outlines new or changed, ${unchanged} as they were, ${removed} removed.".toString()]
        rejections.countBy { it }.sort().each { reason, count -> lines << "${count} without outline: ${reason}".toString() }
        (lines + remarks).join('\n')
    }
}

/** The progress of work that goes on without a window; the window's has the same methods. */
class Quiet {
    void tell(String what, double fraction) { println what }
    boolean isCancelled() { false }
    void onCancel(Closure action) { }
    def change(Closure action) { action() }
    boolean isShown(imageData) { true }
}

folder = new File('@FOLDER@')
gson = GsonTools.getInstance()
MARKS = 'NuClick outlines'           // property of the image: what each outline was like when it was made
MEASUREMENT = 'NuClick: Mean probability'

// The actions

/** Outlines prompts of the current image; `object` is what for: clicks, squiggles or all. */
def segmentCurrent(String object, String script) {
    def imageData = QP.getCurrentImageData()
    if (imageData == null) throw new NuClickException('Open an image first.')
    def project = QP.getProject()
    def selected = imageData.getHierarchy().getSelectionModel().getSelectedObjects() as Set
    inBackground("NuClick: segment ${object}".toString()) { progress ->
        def outcome = segment(imageData, foldersOf(project, imageData), object, selected, progress)
        def step = "evaluate(new File('${new File(folder, script).path.replace('\\', '/')}'))".toString()
        progress.change {
            imageData.getHistoryWorkflow().addStep(new DefaultScriptableWorkflowStep("NuClick: segment ${object}".toString(), step))
        }
        outcome.toString()
    }
}

/** Outlines all prompts of all images of the project and saves each. An image that is open is changed there, and left to be saved. */
def segmentProject() {
    def project = QP.getProject()
    if (project == null) throw new NuClickException('Open a project first.')
    def current = QP.getCurrentImageData()
    def currentEntry = current == null ? null : project.getEntry(current)
    inBackground('NuClick: segment whole project') { progress ->
        def lines = []
        def entries = project.getImageList()
        entries.eachWithIndex { entry, index ->
            if (progress.isCancelled()) throw new CancellationException()
            progress.tell("${entry.getImageName()}".toString(), index / (double) entries.size())
            def open = entry == currentEntry
            def imageData = null
            try {
                imageData = open ? current : entry.readImageData()
                if (promptsOf(imageData).isEmpty()) return
                def outcome = segment(imageData, foldersOf(project, imageData), 'all', [] as Set, progress)
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
    if (imageData == null) throw new NuClickException('Open an image first.')
    inBackground('NuClick: remove objects') { progress ->
        progress.change {
            def marks = marksOf(imageData)
            def (kept, gone) = outlinesOf(imageData).split { isTheirs(it, marks) }
            imageData.getHierarchy().removeObjects(gone, true)
            keepMarks(imageData, marks.subMap(kept.collect { idOf(it) }))
            "${gone.size()} outlines removed." + (kept ? " ${kept.size()} kept: ${theirs()}" : '')
        }
    }
}

/** Says what is installed and what runs. */
def about() {
    inBackground('NuClick: about') { progress ->
        def settings = settings()
        try {
            def health = health(settings)
            def models = health.models.collect { "${it.kind}: ${it.name} (${it.terms})" }
            (["nuclick-wsi ${health.version} on ${health.device}, port ${settings.port}"] + models +
                ["Slides may be opened below: ${health.allowed.join(', ')}"]).join('\n').toString()
        } catch (ConnectException ignored) {
            "The server does not run; the next action starts it with ${settings.python}. Settings: ${new File(folder, 'settings.json')}".toString()
        }
    }
}

/** Shows the settings; in the window, they can be changed there. */
def editSettings() {
    def file = new File(folder, 'settings.json')
    settings()
    def gui = window()
    if (gui == null) println file.getText('UTF-8')
    else gui.edit('NuClick: settings', file) { gson.fromJson(it, Map) }
}

// One image

Outcome segment(imageData, Set folders, String object, Set selected, progress) {
    def all = promptsOf(imageData)
    def wanted = all.findAll { object == 'all' || (object == 'clicks') == it.getROI().isPoint() }
    def chosen = wanted.findAll { it in selected } ?: wanted
    if (chosen.isEmpty()) throw new NuClickException("There are no ${object == 'all' ? 'clicks or squiggles' : object} on this image.")
    def settings = settings()
    def request = requestOf(imageData, chosen, all - chosen, settings, object)
    progress.tell('Waiting for the server', -1)
    ensureServer(settings, folders, progress)
    def result
    try {
        result = ask(settings, request, progress)
    } catch (NuClickException refusal) {
        // A server of our own was started for another project's folders: start it for these, too.
        if (refusal.status != 403 || !restart(settings, folders, progress)) throw refusal
        result = ask(settings, request, progress)
    }
    progress.change { put(imageData, result, requestOf(imageData, chosen, all - chosen, settings, object) != request || promptsOf(imageData) != all, progress) }
}

/** The annotations of points and of lines. */
List promptsOf(imageData) {
    imageData.getHierarchy().getAnnotationObjects().findAll { it.hasROI() && (it.getROI().isPoint() || it.getROI().isLine()) && !isOurs(it) }.sort { it.getID() }
}

/** As text, object by object: QuPath cannot write its objects as a tree of JSON. */
String collection(annotations) {
    '{"type":"FeatureCollection","features":[' + annotations.collect { gson.toJson(it) }.join(',') + ']}'
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
    def options = [object: kind, as: settings.as, gland_mode: settings.gland_mode]
    "{\"image\":${gson.toJson(image)},\"prompts\":${collection(prompts)},\"neighbours\":${collection(neighbours)},".toString() +
        "\"options\":${gson.toJson(options)},\"class_colors\":${gson.toJson(colors)}}".toString()
}

/** Puts the outlines in the place of those of earlier runs; what the user has made theirs stays. */
Outcome put(imageData, JsonObject result, boolean changed, progress) {
    def about = gson.fromJson(result.get('nuclick'), Map)
    def hierarchy = imageData.getHierarchy()
    def fresh = PathIO.readObjectsFromGeoJSON(new ByteArrayInputStream(result.toString().getBytes(StandardCharsets.UTF_8)))
    def marks = marksOf(imageData)
    def freshMarks = fresh.collectEntries { [idOf(it), mark(it)] }
    def asked = about.prompts as Set
    def known = about.known as Set
    def old = outlinesOf(imageData).findAll { asked.contains(idOf(it)) || !known.contains(idOf(it)) }
    def (kept, others) = old.split { isTheirs(it, marks) }
    def (same, gone) = others.split { mark(it) == freshMarks[idOf(it)] }
    def stay = (kept + same).collect { idOf(it) } as Set
    def added = fresh.findAll { !stay.contains(idOf(it)) }
    hierarchy.removeObjects(gone, true)
    hierarchy.addObjects(added)
    def made = (added + same).collectEntries { [idOf(it), mark(it)] }
    def removed = (gone.collect { idOf(it) } as Set) - made.keySet()
    keepMarks(imageData, marks.findAll { !removed.contains(it.key) } + made)
    def outcome = new Outcome(added: added.size(), unchanged: same.size(), removed: removed.size())
    outcome.rejections = about.rejections.collect { it.reason }
    if (kept) outcome.remarks << "${kept.size()} outlines kept as they are: ${theirs()}".toString()
    if (changed) outcome.remarks << 'Clicks or squiggles were changed in the meantime: run again for those.'
    if (about.enlarged) outcome.remarks << "The slide is coarser than the model's pixel size (${about.enlarged.join(', ')}): outlines are less exact.".toString()
    if (!progress.isShown(imageData)) outcome.remarks << 'The image was closed in the meantime: its new outlines are lost unless it was saved. Open it and run again.'
    outcome
}

// What is ours, and what the user has made theirs

String idOf(object) { object.getID().toString() }

boolean isOurs(object) { !object.isRootObject() && object.getMeasurementList().getMeasurementNames().contains(MEASUREMENT) }

List outlinesOf(imageData) { imageData.getHierarchy().getAllObjects(false).findAll { isOurs(it) } as List }

/** How an outline was made: an outline that is like this still has not been touched. */
String mark(object) {
    def roi = object.getROI()
    [object.isAnnotation() ? 'annotation' : 'detection', object.getPathClass()?.toString() ?: '', roi.getNumPoints(), Math.round(roi.getArea()),
     Math.round(roi.getCentroidX() * 4), Math.round(roi.getCentroidY() * 4)].join('|')
}

boolean isTheirs(object, Map marks) {
    def made = marks[idOf(object)]
    object.isLocked() || (made != null && made != mark(object))
}

String theirs() { 'they are locked, or were changed or reclassified by you.' }

Map marksOf(imageData) {
    def text = imageData.getProperty(MARKS)
    text == null ? [:] : gson.fromJson(text.toString(), Map)
}

void keepMarks(imageData, Map marks) { imageData.setProperty(MARKS, gson.toJson(marks)) }

// The server

Map settings() {
    def file = new File(folder, 'settings.json')
    if (!file.exists()) throw new NuClickException("${file} is gone. Run `nuclick-wsi qupath install` again.")
    def defaults = [clicks: 'nucleus', as: 'detection', gland_mode: 'crop', device: 'auto', allow: [], models: []]
    defaults + gson.fromJson(file.getText('UTF-8'), Map)
}

/** The folders of the slides of a project, which the user has opened in QuPath. */
Set foldersOf(project, imageData) {
    def uris = project == null ? imageData.getServer().getURIs() : project.getImageList().collectMany { it.getURIs() }
    (uris + imageData.getServer().getURIs()).findAll { it.getScheme() == 'file' }.collect { new File(it).getParent() }.findAll { it && new File(it).isDirectory() } as Set
}

HttpRequest.Builder builder(settings, String path) {
    def token = new File(settings.token.toString())
    HttpRequest.newBuilder(URI.create("http://127.0.0.1:${settings.port as int}${path}"))
        .header('Authorization', 'Bearer ' + (token.exists() ? token.text.trim() : 'none'))
}

HttpClient client() { HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(5)).build() }

Map health(settings) {
    def answer = client().send(builder(settings, '/health').timeout(Duration.ofSeconds(30)).build(), HttpResponse.BodyHandlers.ofString())
    def body
    try {
        body = gson.fromJson(answer.body(), Map)
    } catch (JsonParseException ignored) {
        throw new NuClickException("Another program has port ${settings.port as int}. Choose another in NuClick's settings.")
    }
    if (answer.statusCode() != 200) throw new NuClickException("${body?.error} ${body?.hint}", answer.statusCode())
    body
}

JsonObject ask(settings, String request, progress) {
    def http = builder(settings, '/segment').header('Content-Type', 'application/json').header('Accept', 'application/x-ndjson')
        .POST(HttpRequest.BodyPublishers.ofString(request)).build()
    def answer = client().send(http, HttpResponse.BodyHandlers.ofInputStream())
    def stream = answer.body()
    progress.onCancel { stream.close() }     // the server stops when nobody listens
    def last = null
    try {
        stream.newReader('UTF-8').eachLine { line ->
            last = JsonParser.parseString(line).getAsJsonObject()
            if (last.has('progress')) {
                def step = gson.fromJson(last.get('progress'), Map)
                progress.tell("${step.done as int} of ${step.total as int} prompts".toString(), step.done / Math.max(1, step.total))
            }
        }
    } catch (IOException problem) {
        if (progress.isCancelled()) throw new CancellationException()
        throw new NuClickException("The server has gone away (${problem.message}). Run the action again; the log is ${log(settings)}.")
    } finally {
        stream.close()
    }
    if (progress.isCancelled()) throw new CancellationException()
    if (last?.has('error')) throw new NuClickException("${last.get('error').asString} ${last.get('hint').asString}", answer.statusCode())
    if (!last?.has('result')) throw new NuClickException("The server ended without an answer. Its log is ${log(settings)}.")
    last.get('result').getAsJsonObject()
}

File log(settings) { new File(new File(settings.token.toString()).parentFile, 'server.log') }

/** Starts the server where none answers; the process is one for all of QuPath. */
void ensureServer(settings, Set folders, progress) {
    try {
        health(settings)
    } catch (ConnectException ignored) {
        start(settings, folders, progress)
    }
}

boolean restart(settings, Set folders, progress) {
    def process = System.getProperties().get('nuclick.server')
    if (process == null || !process.isAlive()) return false
    process.destroy()
    process.waitFor()
    start(settings, folders, progress)
    true
}

void start(settings, Set folders, progress) {
    def served = (System.getProperties().get('nuclick.folders') ?: [] as Set) + folders
    System.getProperties().put('nuclick.folders', served)
    def command = [settings.python, '-c', 'from nuclick_wsi.cli import main; main()', 'serve', '--port', "${settings.port as int}".toString(),
                   '--device', settings.device, '--idle', '60']
    (settings.allow + served).each { command += ['--allow', it.toString()] }
    settings.models.each { command += ['--model', it.toString()] }
    progress.tell('Starting the NuClick server', -1)
    log(settings).parentFile.mkdirs()
    def process
    try {
        def maker = new ProcessBuilder(command*.toString()).redirectErrorStream(true).redirectOutput(log(settings))
        maker.environment().put('NUCLICK_WSI_STATE', new File(settings.token.toString()).parent)
        process = maker.start()
    } catch (IOException problem) {
        throw new NuClickException("The server cannot be started with ${settings.python} (${problem.message}). Run `nuclick-wsi qupath install` again.")
    }
    System.getProperties().put('nuclick.server', process)
    Runtime.getRuntime().addShutdownHook(new Thread({ process.destroy() } as Runnable))
    def until = System.currentTimeMillis() + 120_000
    while (System.currentTimeMillis() < until) {
        if (progress.isCancelled()) throw new CancellationException()
        try {
            health(settings)
            progress.tell('The server is ready', -1)
            return
        } catch (IOException ignored) {     // not there yet, or gone again; perhaps another QuPath's has the port in a moment
            if (!process.isAlive()) throw new NuClickException("The server ended at once:\n${log(settings).getText('UTF-8').trim()}")
            Thread.sleep(200)
        }
    }
    throw new NuClickException("The server does not answer after two minutes. Its log is ${log(settings)}.")
}

// Where the work goes on

/** Does work off the window's thread, or right here where there is no window. */
def inBackground(String title, Closure work) {
    def gui = window()
    if (gui != null) return gui.run(title, work)
    def said = work(new Quiet())
    println said
    said
}

def window() {
    try {
        if (Class.forName('qupath.lib.gui.QuPathGUI').getInstance() == null) return null
    } catch (ReflectiveOperationException | LinkageError ignored) {
        return null
    }
    new GroovyShell(getClass().classLoader).parse(new File(folder, 'Window.groovy'))
}

this
