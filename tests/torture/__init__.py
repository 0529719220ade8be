"""Faults that are really made, one after the other, on small projects: what a run survives, and what it leaves."""
