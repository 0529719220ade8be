// nuclick-wsi made this file: it puts NuClick into QuPath's Extensions menu. `nuclick-wsi qupath uninstall` takes it away.

import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.prefs.PathPrefs

def folder = new File('@FOLDER@')
def own = new File(folder.parentFile, 'startup.groovy')

// QuPath 0.4 runs this file by itself; later versions run the one that a preference names. `QuPath script` sets it, too.
if (PathPrefs.metaClass.respondsTo(PathPrefs, 'startupScriptProperty')) {
    def preference = PathPrefs.startupScriptProperty()
    def isNew = !preference.get()
    if (isNew) preference.set(own.path)
    if (new File(preference.get()) == own) println "NuClick: QuPath starts with ${own.path}${isNew ? ' from now on' : ''}"
    else println "NuClick: QuPath starts with ${preference.get()}. Add this line to it: evaluate(new File('${own.path.replace('\\', '/')}'))"
}

def gui = QuPathGUI.getInstance()
if (gui == null) return

[
    'Segment clicks': 'Segment_clicks.groovy',
    'Segment squiggles': 'Segment_squiggles.groovy',
    'Segment whole project': 'Segment_whole_project.groovy',
    'Re-run changed': 'Re-run_changed.groovy',
    'Remove NuClick objects': 'Remove_NuClick_objects.groovy',
    'Settings': 'Settings.groovy',
    'Restart server': 'Restart_server.groovy',
    'About': 'About.groovy',
].each { name, script -> gui.installGroovyCommand('Extensions>NuClick>' + name, new File(folder, script)) }

// Compiled ahead of the first click; an action that comes first compiles by itself.
Thread.startDaemon { evaluate(new File(folder, 'Load.groovy')) }

def before = new File(folder.parentFile, 'startup.before-nuclick.groovy')
if (before.exists()) gui.runScript(before, null)
