"""Images and an encoder to test with, made by the installed package."""

from __future__ import annotations

import math
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
import semaim

SETTINGS = [
    "model.image_size=32",
    "model.patch_size=8",
    "model.channels=3",
    "model.embed_dim=24",
    "model.depth=2",
    "model.num_heads=2",
    "decoder.query_depth=1",
    "train.epochs=2",
    "train.batch_size=8",
    "optimizer.warmup_epochs=1",
    "data.shapes_count=40",
    "data.shapes_eval_count=20",
]


def png(height: int, width: int, phase: float) -> bytes:
    """A colored pattern that differs with its phase, as a PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def level(x: float, y: float, channel: int) -> int:
        return round(128 + 100 * math.sin(phase + (channel + 1) * (x / 9 + phase * y / 23)))

    rows = (bytes(level(x, y, channel) for x in range(width) for channel in range(3)) for y in range(height))
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six images of several sizes, whose names are in no order."""
    folder = tmp_path_factory.mktemp("images")
    names = ["b.png", "a.png", "d e.png", "c\t.png", '"f".png', "# g.png"]
    paths = [folder / name for name in names]
    for number, path in enumerate(paths):
        path.write_bytes(png(40 + 7 * number, 64 - 5 * number, 0.7 * number))
    return paths


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a short run on generated images."""
    out = tmp_path_factory.mktemp("runs") / "run"
    command = [semaim.program(), "pretrain", "--out", str(out)]
    for setting in SETTINGS:
        command += ["--set", setting]
    # What it says is shown where it fails.
    subprocess.run(command, check=True)
    return out
