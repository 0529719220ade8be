"""Models: networks, weights, their cards, devices; the shipped ones."""
