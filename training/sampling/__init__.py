"""Training samples: crops, simulated prompts, augmentation, batches."""
