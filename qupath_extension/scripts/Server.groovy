// The local server: starts it, asks it, and ends it with QuPath.

import com.google.gson.JsonObject
import com.google.gson.JsonParseException
import com.google.gson.JsonParser
import groovy.transform.Field
import java.net.ConnectException
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.time.Duration
import java.util.concurrent.CancellationException

/** What some settings may be. */
@Field final Map<String, List> CHOICES = [
    clicks: ['nucleus', 'cell', 'cell+nucleus'], as: ['detection', 'annotation'], gland_mode: ['crop', 'tiled'], terms: ['any', 'open'],
    tta: [false, true], remove_prompts: [false, true], sureness_colors: [false, true],
]
@Field final Map DEFAULTS = [
    clicks: 'nucleus', as: 'detection', 'class': '', gland_mode: 'crop', terms: 'any', tta: false, remove_prompts: false,
    sureness_colors: false, device: 'auto', allow: [], models: [],
]
@Field Map read = [:]      // the settings as they were last read, and from which state of their file

Map settings() {
    def file = new File(folder, 'settings.json')
    if (!file.exists()) throw new NuClickException("${file} is gone. Run `nuclick-wsi qupath install` again.")
    def state = [file.lastModified(), file.length()]
    def last = read
    if (last.state == state) return last.settings
    def settings = DEFAULTS + checked(file.getText('UTF-8'))
    read = [state: state, settings: settings]
    settings
}

/** What settings say; a user may write them by hand. */
Map checked(String text) {
    def said
    try {
        said = gson.fromJson(text, Map)
    } catch (JsonParseException problem) {
        throw new NuClickException("The settings are not JSON: ${(problem.cause ?: problem).message}")
    }
    def missing = ['port', 'python', 'token'].findAll { said?.get(it) == null }
    if (missing) throw new NuClickException("The settings lack ${missing.join(', ')}. Run `nuclick-wsi qupath install` again.")
    if (!(said.port instanceof Number) || !(said.port > 0 && said.port < 65536)) throw new NuClickException("The settings have port ${said.port instanceof Number ? said.port as long : said.port}; it is a number below 65536.")
    CHOICES.each { name, accepted ->
        if (said[name] != null && !(said[name] in accepted)) throw new NuClickException("The settings have ${name} ${said[name]}; accepted are ${accepted.join(', ')}.")
    }
    ['allow', 'models'].each { name ->
        if (said[name] != null && !(said[name] instanceof List)) throw new NuClickException("The settings have ${name} ${said[name]}; it is a list.")
    }
    said
}

/** The folders of the slides of a project, which the user has opened in QuPath. */
Set foldersOf(project, imageData) {
    def uris = (project?.getImageList() ?: []).collectMany { it.getURIs() } + (imageData?.getServer()?.getURIs() ?: [])
    uris.findAll { it.getScheme() == 'file' }.collect { new File(it).getParent() }.findAll { it && new File(it).isDirectory() } as Set
}

HttpRequest.Builder builder(settings, String path) {
    def token = new File(settings.token.toString())
    HttpRequest.newBuilder(URI.create("http://127.0.0.1:${settings.port as int}${path}"))
        .header('Authorization', 'Bearer ' + (token.exists() ? token.text.trim() : 'none'))
}

/** One for all requests: a new one costs each click a connection. */
@Field final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(5)).build()

/** Asks a server what it is. One whose token file was gone has made a new one by the second time. */
Map health(settings) {
    def answer = askHealth(settings)
    if (answer.statusCode() == 401) answer = askHealth(settings)
    def body
    try {
        body = gson.fromJson(answer.body(), Map)
    } catch (JsonParseException ignored) {
        throw new NuClickException("Another program has port ${settings.port as int}. Choose another in NuClick's settings.")
    }
    if (answer.statusCode() == 401) throw new NuClickException(notOurs(settings), 401)
    if (answer.statusCode() != 200) throw new NuClickException("${body?.error} ${body?.hint}", answer.statusCode())
    body
}

HttpResponse askHealth(settings) {
    client.send(builder(settings, '/health').timeout(Duration.ofSeconds(30)).build(), HttpResponse.BodyHandlers.ofString())
}

String notOurs(settings) {
    def place = "The NuClick server at port ${settings.port as int}"
    if (!new File(settings.token.toString()).exists())
        return "${place} wants a token, and ${settings.token} is not there: it keeps its own in another folder. Stop it where it was started, or choose another port in NuClick's settings."
    "${place} does not take the token in ${settings.token}: somebody else started it, or you did, with another folder for it. Choose another port in NuClick's settings."
}

/** Answers a request, with a server that may open slides in these folders. */
JsonObject answer(settings, Set folders, String request, progress) {
    progress.tell('Waiting for the server', -1)
    ensure(settings, folders, progress)
    try {
        return ask(settings, request, progress)
    } catch (NuClickException refusal) {
        // A server that QuPath started knows the folders of another project: start it for these, too.
        if (refusal.status != 403 || !isOurs(settings)) throw refusal
        restart(settings, folders, progress)
        return ask(settings, request, progress)
    }
}

JsonObject ask(settings, String request, progress) {
    def http = builder(settings, '/segment').header('Content-Type', 'application/json').header('Accept', 'application/x-ndjson')
        .POST(HttpRequest.BodyPublishers.ofString(request)).build()
    def answer = client.send(http, HttpResponse.BodyHandlers.ofInputStream())
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
        throw new ServerGone("The server has gone away (${problem.message}). Run the action again; the log is ${log(settings)}.")
    } finally {
        stream.close()
    }
    if (progress.isCancelled()) throw new CancellationException()
    if (last?.has('error')) throw new NuClickException("${last.get('error').asString} ${last.get('hint').asString}", answer.statusCode())
    if (!last?.has('result')) throw new ServerGone("The server ended without an answer. Its log is ${log(settings)}.")
    last.get('result').getAsJsonObject()
}

File log(settings) { new File(new File(settings.token.toString()).parentFile, 'server.log') }

/** Starts the server where none answers; the process is one for all of QuPath. */
synchronized void ensure(settings, Set folders, progress) {
    try {
        health(settings)
    } catch (ConnectException ignored) {
        start(settings, folders, progress)
    }
}

/** Whether this QuPath started the server that answers. */
boolean isOurs(settings) {
    def ours = System.getProperties().get('nuclick.server')
    ours != null && ours.process.isAlive() && ours.port == (settings.port as int)
}

/** Starts the server anew; one that was started by hand is left running. */
synchronized void restart(settings, Set folders, progress) {
    if (!isOurs(settings) && isThere(settings))
        throw new NuClickException("The server at port ${settings.port as int} was not started by this QuPath: stop it where it was started, or choose another port in NuClick's settings.")
    start(settings, folders, progress)
}

boolean isThere(settings) {
    try {
        health(settings)
    } catch (ConnectException ignored) {
        return false
    } catch (NuClickException ignored) {
        return true
    }
    true
}

/** Ends the server that this QuPath started, wherever it listens. */
void end() {
    def ours = System.getProperties().remove('nuclick.server')
    ours?.process?.destroy()
    ours?.process?.waitFor()
}

void start(settings, Set folders, progress) {
    end()
    def served = (System.getProperties().get('nuclick.folders') ?: [] as Set) + folders
    System.getProperties().put('nuclick.folders', served)
    def command = [settings.python, '-c', 'from nuclick_wsi.cli.app import main; main()', 'serve', '--port', "${settings.port as int}".toString(),
                   '--device', settings.device, '--terms', settings.terms, '--idle', '60']
    (settings.allow + served).each { command += ['--allow', it.toString()] }
    settings.models.each { command += ['--model', it.toString()] }
    if (settings.tta) command << '--tta'
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
    System.getProperties().put('nuclick.server', [process: process, port: settings.port as int])
    Runtime.getRuntime().addShutdownHook(new Thread({ process.destroy() } as Runnable))
    def until = System.currentTimeMillis() + 120_000
    while (System.currentTimeMillis() < until) {
        if (progress.isCancelled()) throw new CancellationException()
        try {
            health(settings)
            progress.tell('The server is ready', -1)
            return
        } catch (IOException ignored) {     // not there yet, or gone again; perhaps another QuPath's has the port in a moment
            if (!process.isAlive()) throw new NuClickException("The server ended at once, with exit code ${process.exitValue()}:\n${log(settings).getText('UTF-8').trim()}")
            Thread.sleep(200)
        }
    }
    throw new NuClickException("The server does not answer after two minutes. Its log is ${log(settings)}.")
}

this
