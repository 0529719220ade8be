"""Outlines of settled masks: between pixels, or along their edges."""
