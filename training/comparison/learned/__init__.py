"""Interactive systems that learn: each by its own signal and decision rule, on one encoder and one budget."""
