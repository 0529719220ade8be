"""Network architectures, and nothing else."""
