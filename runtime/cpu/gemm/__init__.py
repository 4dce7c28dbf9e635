"""The matrix product, generated for the processor's registers."""
