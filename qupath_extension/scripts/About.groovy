// Says which server runs, with which models.
evaluate(new File('@FOLDER@', 'Load.groovy')).about()
