"""``python -m semaim``: the program, with all of its commands."""

import os
import subprocess
import sys

from ._program import program


def main() -> int:
    """Runs the program in the place of this process, or where there is no such thing (Windows) waits for it."""
    arguments = [program(), *sys.argv[1:]]
    if sys.platform != "win32":
        os.execv(arguments[0], arguments)
    return subprocess.run(arguments).returncode


if __name__ == "__main__":
    sys.exit(main())
