"""Reading data.qpdata: Java's object stream, and the objects that QuPath keeps in it."""
