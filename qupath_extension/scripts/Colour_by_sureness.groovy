// Colours outlines by how sure they are, or by their classes again.
evaluate(new File('@FOLDER@', 'Load.groovy')).toggleSureness()
