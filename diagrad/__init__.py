"""diagrad: draw the block diagram; get its gradient graph and a native program."""

from os import path as _path

# A checkout on a system without symbolic links: the three rooms stand beside this folder.
if not _path.isdir(_path.join(__path__[0], "compiler")):
    __path__.append(_path.dirname(_path.abspath(__path__[0])))
