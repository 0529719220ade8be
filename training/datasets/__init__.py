"""Labelled data: reading it, extracting it from slides, dividing it."""
