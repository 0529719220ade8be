// Outlines the selected clicks of the image, or all of them; the others are neighbours.
evaluate(new File('@FOLDER@', 'Load.groovy')).segmentCurrent('clicks', 'Segment clicks')
