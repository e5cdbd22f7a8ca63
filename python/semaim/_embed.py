"""Vectors of images, by the program."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ._options import Activation, ImageSize, options
from ._program import UsageError, run


def embed(
    paths: Iterable[str | os.PathLike[str]],
    weights: str | os.PathLike[str],
    *,
    feature: Literal["mean", "cls", "both"] = "mean",
    unreadable: Literal["raise", "nan"] = "raise",
    image_size: ImageSize | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    heads: int | None = None,
    activation: Activation | None = None,
    layout: str | None = None,
) -> NDArray[np.float32]:
    """One vector per image: ``[images, embed_dim]``, in the order of ``paths``.

    The program decodes the images (JPEG, PNG, WebP, BMP, TIFF, GIF, NumPy's .npy, turned as their EXIF data say), shows their
    centers to the encoder and computes on all cores. What it notes, such as how far it is, goes to ``sys.stderr``.

    Args:
        paths: The image files. For folders, tar files and the like there is the command ``semaim embed``.
        weights: The encoder: a run directory, or a checkpoint in any layout that ``semaim inspect`` knows.
        feature: What represents an image: the mean of its patch tokens, its class token, or ``both`` one after the other,
            which makes vectors of twice the width.
        unreadable: What an image that cannot be read makes of the whole: an error that names it, or a row of NaN.
        image_size: Size in pixels that images are shown in, a side or ``(height, width)``; the encoder's if not given.
        batch_size: Images per forward pass (64).
        device: Where to compute (``cpu``); ``semaim devices`` lists what a build has.
        heads, activation, layout: What the checkpoint does not say of itself, as the program's options of these names.

    Returns:
        ``float32 [images, embed_dim]``, with ``feature="both"`` ``[images, 2 * embed_dim]``.

    Raises:
        UsageError: No images, an image that cannot be read, weights that are none.
        Error: The program failed.
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(f"paths is a sequence of image files, not one: {paths!r}")
    if unreadable not in ("raise", "nan"):
        raise ValueError(f"unreadable is 'raise' or 'nan', not {unreadable!r}")
    # Not normalized: `link/../a.jpg` is beside what the link leads to.
    named = [os.path.join(os.getcwd(), os.fsdecode(path)) for path in paths]
    # An image that is named several times, in whatever way, is looked at once.
    first: dict[str, str] = {}
    real = [_place(path) for path in named]
    for path, place in zip(named, real):
        first.setdefault(place, path)
    files = list(first.values())
    places = {place: number for number, place in enumerate(first)}
    order = [places[place] for place in real]
    _check(files)
    there = [number for number, file in enumerate(files) if os.path.isfile(file)]
    if unreadable == "raise" and len(there) < len(files):
        # Before an hour is spent on the others.
        gone = next(file for file in files if not os.path.isfile(file))
        raise UsageError(f"there is no file {gone}")
    told = options(image_size, heads, activation, layout, "--layout")
    found, rows, notes = _vectors([files[number] for number in there], weights, feature, told, batch_size, device)
    rows = [there[row] for row in rows]
    if len(rows) < len(files) and unreadable == "raise":
        reasons = "\n".join(note for note in notes if note.startswith("left out "))
        raise UsageError(f"{len(files) - len(rows)} of {len(files)} images cannot be read\n{reasons}")
    if found is None:
        about = json.loads(run(["inspect", weights, "--json", *told]).result)
        found = np.empty((0, (about["projection"] or about["embed_dim"]) * (2 if feature == "both" else 1)), np.float32)
    all_of_them = np.full((len(files), found.shape[1]), np.nan, dtype=np.float32)
    all_of_them[rows] = found
    return all_of_them[order]


def _place(path: str) -> str:
    """Where a file is, whatever links lead there; of one that is not there its name."""
    try:
        return os.path.realpath(path, strict=True)
    except OSError:
        return path


def _vectors(
    files: list[str],
    weights: str | os.PathLike[str],
    feature: str,
    told: list[str],
    batch_size: int | None,
    device: str | None,
) -> tuple[NDArray[np.float32] | None, list[int], list[str]]:
    """Vectors of the files that can be read, if any, the numbers of these, and what the program noted."""
    if not files:
        return None, [], []
    with tempfile.TemporaryDirectory(prefix="semaim-") as name:
        images, vectors = Path(name, "images.tsv"), Path(name, "vectors.npy")
        images.write_text(_list(files), encoding="utf-8", newline="\n")
        more = {"--batch-size": batch_size, "--device": device}
        try:
            output = run(
                ["embed", "--weights", weights, "--data", images, "--out", vectors, "--feature", feature, "--json", *told]
                + [text for option, value in more.items() if value is not None for text in (option, str(value))]
            )
        except UsageError as error:
            if not str(error).endswith(": no image could be read"):
                raise
            return None, [], error.notes
        with open(vectors.with_suffix(".csv"), encoding="utf-8", newline="") as table:
            rows = [int(row["class"]) for row in csv.DictReader(table)]
        found: NDArray[np.float32] = np.load(vectors)
        return found, rows, output.notes


def _check(files: list[str]) -> None:
    """Refuses what cannot be put into a list."""
    if not files:
        raise UsageError("paths names no image")
    for file in files:
        if "\n" in file or "\r" in file:
            raise UsageError(f"a path with a line break in it cannot be put into a list: {file!r}")
        try:
            file.encode()
        except UnicodeEncodeError:
            raise UsageError(f"a path that is no UTF-8 cannot be put into a list: {file!r}") from None


def _list(files: list[str]) -> str:
    """A list of images as the program reads it. The label of each is its number, by which its vector is known again."""
    quoted = [file.replace('"', '""') for file in files]
    # With a heading, or a first file whose name is not like an image's would be taken for one.
    return "path\tlabel\n" + "".join(f'"{file}"\t{number}\n' for number, file in enumerate(quoted))
