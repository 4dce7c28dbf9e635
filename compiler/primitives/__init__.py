"""The primitives: about fifty records, each with all of its rules in one place.

Whoever imports a file of this folder finds the registry filled.
"""

from . import registry as registry
