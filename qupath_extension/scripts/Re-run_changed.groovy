// Outlines all clicks and squiggles of the image again: what has not changed stays, what has is replaced.
evaluate(new File('@FOLDER@', 'Load.groovy')).segmentCurrent('all', 'Re-run changed')
