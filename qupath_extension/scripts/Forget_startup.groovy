// `nuclick-wsi qupath uninstall` runs this: QuPath no longer starts with NuClick's script.

import qupath.lib.gui.prefs.PathPrefs

def own = new File(new File('@FOLDER@').parentFile, 'startup.groovy')
def preference = PathPrefs.startupScriptProperty()
if (preference.get() && new File(preference.get()) == own) preference.set(null)
println "NuClick: QuPath starts with ${preference.get() ?: 'no script'}"
