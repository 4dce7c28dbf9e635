"""The classical machines: nearest neighbours, k-means, Hopfield's memory, Boltzmann's machines."""
