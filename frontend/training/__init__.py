"""Training: optimizers, schedules, samples in batches, checkpoints."""
