"""One file for each system that is measured: the same workloads, written as its users would."""
