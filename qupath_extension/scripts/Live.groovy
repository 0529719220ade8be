// Switches live mode on or off: while it is on, each click and line gets its outline at once.
evaluate(new File('@FOLDER@', 'Load.groovy')).toggleLive()
