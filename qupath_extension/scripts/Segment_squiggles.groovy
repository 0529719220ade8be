// Outlines the selected squiggles of the image, or all of them; the others are neighbours.
evaluate(new File('@FOLDER@', 'Load.groovy')).segmentCurrent('squiggles', 'Segment squiggles')
