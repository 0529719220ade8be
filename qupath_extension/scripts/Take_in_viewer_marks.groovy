// Adds the marks that were saved into the project by the viewer in the browser (nuclick-wsi view).
evaluate(new File('@FOLDER@', 'Load.groovy')).takeInMarks()
