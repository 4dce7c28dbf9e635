"""How each kind of group becomes kernel text and rows; `passes/emit.py` calls these."""
