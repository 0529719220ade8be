"""ASAP annotations: read and written here."""
