"""The pass that makes contractions of convolutions."""
