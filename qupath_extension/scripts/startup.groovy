// nuclick-wsi made this file: it puts NuClick into QuPath's Extensions menu. `nuclick-wsi qupath uninstall` takes it away.

import javafx.scene.input.KeyCombination
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

// A key that QuPath or another extension has stays theirs; `setAccelerator` in a script of your own gives an item another.
[
    'Live': ['Live.groovy', 'shift+l'],
    'Segment selected': ['Segment_selected.groovy', 'shift+n'],
    'Segment clicks': ['Segment_clicks.groovy', 'shift+k'],
    'Segment squiggles': ['Segment_squiggles.groovy', 'shift+q'],
    'Segment whole project': ['Segment_whole_project.groovy', 'shift+w'],
    'Re-run changed': ['Re-run_changed.groovy', 'shift+r'],
    'Take in viewer marks': ['Take_in_viewer_marks.groovy', 'shift+b'],
    'Review': ['Review.groovy', 'shift+v'],
    'Review: accept': ['Review_accept.groovy', 'shift+y'],
    'Review: reject': ['Review_reject.groovy', 'shift+x'],
    'Review: next': ['Review_next.groovy', 'shift+j'],
    'Review: previous': ['Review_previous.groovy', 'shift+h'],
    'Colour by sureness': ['Colour_by_sureness.groovy', 'shift+u'],
    'Convert to annotation and edit': ['Convert_to_annotation_and_edit.groovy', 'shift+t'],
    'Remove NuClick objects': ['Remove_NuClick_objects.groovy', 'shortcut+alt+x'],
    'Settings': ['Settings.groovy', 'shortcut+alt+n'],
    'Restart server': ['Restart_server.groovy', 'shortcut+alt+u'],
    'About': ['About.groovy', 'shortcut+alt+b'],
].each { name, how ->
    def item = gui.installGroovyCommand('Extensions>NuClick>' + name, new File(folder, how[0]))
    def key = KeyCombination.valueOf(how[1])
    def owner = gui.lookupAccelerator(key)
    if (owner == null || owner.getText() == name) gui.setAccelerator(item, key)
    else println "NuClick: ${name} has no key, because ${how[1]} is that of ${owner.getText()}"
}

// Compiled ahead of the first click; an action that comes first compiles by itself.
Thread.startDaemon { evaluate(new File(folder, 'Load.groovy')).showButton() }

def before = new File(folder.parentFile, 'startup.before-nuclick.groovy')
if (before.exists()) gui.runScript(before, null)
