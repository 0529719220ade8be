// Hands out the actions of NuClick.groovy, compiled once: compiling takes seconds, and would stand before each outline.
// Works in QuPath 0.4 to 0.7, in the window and under `QuPath script`; what needs the window is loaded where there is one.

import qupath.lib.io.GsonTools

/** Whether there is a window; QuPath's core may be here without its classes. */
boolean isWindow() {
    try {
        return Class.forName('qupath.lib.gui.QuPathGUI').getInstance() != null
    } catch (ReflectiveOperationException | LinkageError ignored) {
        return false
    }
}

/** The scripts, each under a name by which the others know it. */
def compiled(File folder) {
    def shell = new GroovyShell(getClass().classLoader, new Binding(folder: folder, gson: GsonTools.getInstance(), window: null))
    def load = { String name -> shell.parse(new File(folder, name)).run() }
    def put = { String name, String file -> shell.setVariable(name, load(file)) }
    ['Problem.groovy', 'Names.groovy', 'Waiting.groovy'].each { load(it) }
    put('server', 'Server.groovy')
    put('exchange', 'Exchange.groovy')
    put('prompts', 'Prompts.groovy')
    put('outlines', 'Outlines.groovy')
    if (isWindow()) {
        put('rejections', 'Rejections.groovy')
        put('window', 'Window.groovy')
        put('sureness', 'Sureness.groovy')
        put('toolbar', 'Toolbar.groovy')
        put('editing', 'Editing.groovy')
        put('choices', 'Choices.groovy')
        put('review', 'Reviewing.groovy')
        load('Asking.groovy')
        put('live', 'Session.groovy')
    }
    load('NuClick.groovy')
}

def folder = new File('@FOLDER@')
def properties = System.getProperties()
// Compiled once: an action that comes while that goes on waits for it.
synchronized (properties.computeIfAbsent('nuclick.lock') { new Object() }) {
    def made = folder.listFiles().findAll { it.name.endsWith('.groovy') }*.lastModified().max()
    def kept = properties.get('nuclick.loaded')
    if (kept?.made != made) {
        kept?.actions?.leave()
        properties.put('nuclick.loaded', [made: made, actions: compiled(folder)])
    }
}
properties.get('nuclick.loaded').actions
