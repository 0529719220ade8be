// The next outline of the review, which is a little surer.
evaluate(new File('@FOLDER@', 'Load.groovy')).reviewing('next')
