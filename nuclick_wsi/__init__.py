"""Clicks and squiggles on a whole slide become exact outlines of nuclei, cells and glands."""
