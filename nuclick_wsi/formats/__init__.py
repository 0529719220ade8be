"""File formats of prompts and results: GeoJSON, tables."""
