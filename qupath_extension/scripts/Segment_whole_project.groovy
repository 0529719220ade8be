// Outlines all clicks and squiggles of all images of the project, and saves each.
evaluate(new File('@FOLDER@', 'Load.groovy')).segmentProject()
