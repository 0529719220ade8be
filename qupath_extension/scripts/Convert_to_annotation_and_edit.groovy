// Turns the selected outlines into annotations, and takes the brush.
evaluate(new File('@FOLDER@', 'Load.groovy')).convertSelected()
