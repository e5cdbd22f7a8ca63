"""Vision transformers pre-trained by semaim, in Python.

* :func:`load`: an encoder as a timm model, with the transform that shows images to it.
* :func:`embed`: the vectors of image files, as a NumPy array.
* The command ``semaim``, also ``python -m semaim``: the program itself, which does everything else.
"""

from ._embed import embed
from ._load import Loaded, load
from ._program import Error, UsageError, program

__all__ = ["Error", "Loaded", "UsageError", "embed", "load", "program"]
