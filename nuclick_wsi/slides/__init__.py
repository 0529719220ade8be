"""Slides: readers, pyramids, windows of a slide at a pixel size."""
