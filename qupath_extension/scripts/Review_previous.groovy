// The outline of the review before this one.
evaluate(new File('@FOLDER@', 'Load.groovy')).reviewing('previous')
