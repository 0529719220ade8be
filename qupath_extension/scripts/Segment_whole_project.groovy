// Outlines all clicks and squiggles of all images of the project, and saves each.
def nuclick = new GroovyShell(getClass().classLoader).parse(new File('@FOLDER@', 'NuClick.groovy')).run()
nuclick.segmentProject()
