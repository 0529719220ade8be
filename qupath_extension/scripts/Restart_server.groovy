// Ends the server that QuPath started, and starts it with the settings of now.
evaluate(new File('@FOLDER@', 'Load.groovy')).restartServer()
