"""QuPath projects and QuPath's menu."""
