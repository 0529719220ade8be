"""Interactive systems side by side: the same objects, marked as each system wants them, outlined and scored."""
