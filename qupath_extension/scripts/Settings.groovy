// Shows the settings of NuClick: python, port, folders, what clicks are and what outlines become.
def nuclick = new GroovyShell(getClass().classLoader).parse(new File('@FOLDER@', 'NuClick.groovy')).run()
nuclick.editSettings()
