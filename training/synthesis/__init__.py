"""Pictures composed of single cells on a background."""
