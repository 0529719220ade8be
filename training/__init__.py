"""Training and evaluation, on the same signals, crops and networks as the engine."""
