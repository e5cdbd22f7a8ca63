"""The program that the package holds: where it is, and how it is run."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# What stands before the message that a command fails with.
_ERROR = "error: "


class Error(Exception):
    """The program failed. ``str()`` of it is the program's own message."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        #: The exit code: 2 for a mistake in what was given (then it is a :class:`UsageError`), 1 for a fault of the
        #: program, negative for the signal that ended it.
        self.code = code
        #: What the program noted before it failed.
        self.notes: list[str] = []

    def __reduce__(self) -> tuple[type[Error], tuple[str, int]]:
        # Processes of a pool hand their exceptions on as pickles.
        return type(self), (str(self), self.code)


class UsageError(Error, ValueError):
    """Something that was given cannot be right: a file that is not there, a value that does not fit."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message, code)


class Output(NamedTuple):
    """What a command that did its work has written."""

    #: Its standard output.
    result: str
    #: The lines of its standard error: what was assumed, left out, and how far it was.
    notes: list[str]


def program() -> str:
    """The path of the program that came with this package.

    Raises:
        FileNotFoundError: the package was copied without it.
    """
    name = "semaim.exe" if sys.platform == "win32" else "semaim"
    user = sysconfig.get_preferred_scheme("user")
    here = Path(__file__).resolve().parent
    # `pip install --target FOLDER` and `--prefix FOLDER` put it beside the packages, or beside their lib; another version may be in
    # the environment.
    beside = [
        here.parent / "bin",
        here.parents[min(3, len(here.parents) - 1)] / ("Scripts" if sys.platform == "win32" else "bin"),
    ]
    of_environment = [Path(sysconfig.get_path("scripts")), Path(sysconfig.get_path("scripts", user))]
    # A checkout is no place where pip puts anything.
    is_installed = here.parent.name in ("site-packages", "dist-packages") or (here.parent / "bin" / name).is_file()
    folders = beside + of_environment if is_installed else of_environment + beside
    for folder in folders:
        if (folder / name).is_file():
            return str(folder / name)
    raise FileNotFoundError(
        f"the program {name} is not where pip puts it ({', '.join(map(str, folders))}); install the wheel again"
    )


def run(arguments: Sequence[str | os.PathLike[str]]) -> Output:
    """Runs a command and waits for it. What it notes while it works is handed on to ``sys.stderr`` line by line.

    Raises:
        UsageError: it says that something it was given cannot be right.
        Error: it failed.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [program(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        try:
            notes, message = _listen(process)
        except BaseException:
            # Ctrl-C, or a `sys.stderr` that takes nothing: the program removes what it has not finished.
            process.terminate()
            process.wait()
            raise
        output.seek(0)
        result = output.read().decode("utf-8", errors="replace")
    code = process.returncode
    if code == 0:
        return Output(result, notes)
    message = message or "\n".join(notes) or f"semaim ended with code {code}"
    error = UsageError(message) if code == 2 else Error(message, code)
    error.notes = notes
    raise error


def _listen(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """Waits for a process; gives its notes, and the message that it fails with."""
    notes: list[str] = []
    message: list[str] = []
    if process.stderr is None:
        raise TypeError("the process has no standard error to listen to")
    with process.stderr as lines:
        for line in lines:
            line = line.rstrip("\n")
            # From the message on everything belongs to it.
            if message or line.startswith(_ERROR):
                message.append(line.removeprefix(_ERROR))
            else:
                notes.append(line)
                if sys.stderr is not None:
                    print(line, file=sys.stderr)
    process.wait()
    return notes, "\n".join(message).strip()
