"""Recurrent blocks: what one step computes, the loops over it, and what is built of them."""
