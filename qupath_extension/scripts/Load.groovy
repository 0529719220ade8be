// Hands out the actions of NuClick.groovy, compiled once: compiling takes seconds, and would stand before each outline.
// Works in QuPath 0.4 to 0.7, in the window and under `QuPath script`; what needs the window is in Window.groovy and Rejections.groovy.

import qupath.lib.io.GsonTools

/** Whether there is a window; QuPath's core may be here without its classes. */
boolean isWindow() {
    try {
        return Class.forName('qupath.lib.gui.QuPathGUI').getInstance() != null
    } catch (ReflectiveOperationException | LinkageError ignored) {
        return false
    }
}

def folder = new File('@FOLDER@')
def made = folder.listFiles().findAll { it.name.endsWith('.groovy') }*.lastModified().max()
def kept = System.getProperties().get('nuclick.loaded')
if (kept?.made != made) {
    def shell = new GroovyShell(getClass().classLoader, new Binding(folder: folder, gson: GsonTools.getInstance(), window: null))
    def load = { String name -> shell.parse(new File(folder, name)).run() }
    load('Problem.groovy')
    shell.setVariable('server', load('Server.groovy'))
    shell.setVariable('exchange', load('Exchange.groovy'))
    shell.setVariable('outlines', load('Outlines.groovy'))
    if (isWindow()) {
        shell.setVariable('rejections', load('Rejections.groovy'))
        shell.setVariable('window', load('Window.groovy'))
    }
    kept = [made: made, actions: load('NuClick.groovy')]
    System.getProperties().put('nuclick.loaded', kept)
}
kept.actions
