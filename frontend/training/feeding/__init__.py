"""What `fit` trains on: arrays cut into mini-batches, or batches that come one by one."""
