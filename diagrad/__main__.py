"""`python -m diagrad`: see `frontend/command_line.py`."""

from . import __version__
from .frontend.command_line import main

if __name__ == "__main__":
    raise SystemExit(main(version=__version__))
