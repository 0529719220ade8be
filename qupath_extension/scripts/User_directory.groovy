// `nuclick-wsi qupath install` runs this: where QuPath keeps what is the user's, or will, once it has been started.

import qupath.lib.gui.prefs.PathPrefs

println "NuClick: ${PathPrefs.userPathProperty().get() ?: PathPrefs.getDefaultQuPathUserDirectory()}"
