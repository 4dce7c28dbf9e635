"""The functions of the lectures and of PyTorch, composed of operations, each drawn as one bullet.

Derivatives are found from these expressions, never written down here.  They are right to the
second order and finite wherever the function is smooth: no branch that is not taken computes
anything that could overflow.  (`tanh`, `sigmoid` and `sign` are operations of their own.)
"""
