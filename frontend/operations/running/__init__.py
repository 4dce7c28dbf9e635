"""Products over axes, and running products and log-sum-exps: a step for each element."""
