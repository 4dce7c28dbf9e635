"""What looks on while `fit` trains: stopping, checkpoints, rates and logs, as callbacks."""
