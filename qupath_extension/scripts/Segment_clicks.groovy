// Outlines the selected clicks of the image, or all of them; the others are neighbours.
def nuclick = new GroovyShell(getClass().classLoader).parse(new File('@FOLDER@', 'NuClick.groovy')).run()
nuclick.segmentCurrent('clicks', 'Segment_clicks.groovy')
