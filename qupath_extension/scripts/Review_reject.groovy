// Takes the outline under review away with its click, and goes on.
evaluate(new File('@FOLDER@', 'Load.groovy')).reviewing('reject')
