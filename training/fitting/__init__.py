"""Fitting a network: recipes, settings, the run and what it keeps."""
