"""Which nodes make one kernel, in which order, and where their values lie."""
