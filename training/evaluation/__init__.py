"""Scores of models, and their tables and figures."""
