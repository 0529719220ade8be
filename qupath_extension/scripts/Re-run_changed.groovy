// Outlines all clicks and squiggles of the image again: what has not changed stays, what has is replaced.
def nuclick = new GroovyShell(getClass().classLoader).parse(new File('@FOLDER@', 'NuClick.groovy')).run()
nuclick.segmentCurrent('all', 'Re-run_changed.groovy')
