"""The local server that programs on this machine ask for outlines."""
