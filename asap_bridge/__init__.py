"""ASAP's annotation files: read as ASAP reads them, and edited in place so that all else in them stays as it was."""
