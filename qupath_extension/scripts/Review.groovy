// Goes from the least sure outline to the surest.
evaluate(new File('@FOLDER@', 'Load.groovy')).reviewing('open')
