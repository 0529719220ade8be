"""QuPath projects: read here, and later written."""
