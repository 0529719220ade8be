// Shows the settings of NuClick: python, port, folders, what clicks are and what outlines become.
evaluate(new File('@FOLDER@', 'Load.groovy')).editSettings()
