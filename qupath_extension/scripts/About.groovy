// Says which server runs, with which models.
def nuclick = new GroovyShell(getClass().classLoader).parse(new File('@FOLDER@', 'NuClick.groovy')).run()
nuclick.about()
