"""`python -m diagrad`: see `frontend/command_line.py`."""

from .frontend.command_line import main

if __name__ == "__main__":
    raise SystemExit(main())
