// Outlines the selected clicks and squiggles, or those inside the selected regions.
evaluate(new File('@FOLDER@', 'Load.groovy')).segmentCurrent('selected', 'Segment selected')
