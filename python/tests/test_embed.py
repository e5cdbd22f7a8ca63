"""Vectors of images."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import semaim


def test_vectors_are_those_of_the_command(run: Path, images: list[Path], tmp_path: Path) -> None:
    found = semaim.embed(images, run)
    assert found.shape == (len(images), 24)
    assert found.dtype == np.dtype(np.float32)
    for path, vector in zip(images, found):
        out = tmp_path / "one.npy"
        command: list[str | Path] = [semaim.program(), "embed", "--weights", run, "--data", path.parent, "--out", out]
        subprocess.run(command, check=True, capture_output=True)
        names = [line.split(",")[0] for line in out.with_suffix(".csv").read_text().splitlines()[1:]]
        place = [Path(name.strip('"').replace('""', '"')).name for name in names].index(path.name)
        np.testing.assert_array_equal(vector, np.load(out)[place])


def test_the_order_is_that_of_the_paths(run: Path, images: list[Path]) -> None:
    forward = semaim.embed(images, run)
    assert len(np.unique(forward, axis=0)) == len(images)
    np.testing.assert_array_equal(semaim.embed(images[::-1], run), forward[::-1])
    twice = semaim.embed([images[2], images[0], images[2]], run)
    np.testing.assert_array_equal(twice, forward[[2, 0, 2]])


def test_paths_may_be_relative_and_any_iterable(
    run: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = semaim.embed(images, run)
    monkeypatch.chdir(images[0].parent)
    np.testing.assert_array_equal(semaim.embed((path.name for path in images), run), expected)


def test_links_are_followed_as_the_system_does(run: Path, images: list[Path], tmp_path: Path) -> None:
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    (elsewhere / "inner").mkdir(parents=True)
    here.mkdir()
    for folder, image in [(elsewhere, images[0]), (here, images[1])]:
        (folder / "a.png").write_bytes(image.read_bytes())
    (here / "link").symlink_to(elsewhere / "inner")
    named: list[str | Path] = [here / "a.png", f"{here}/link/../a.png", f"{here}/./a.png"]
    expected = semaim.embed(images[:2], run)[[1, 0, 1]]
    np.testing.assert_array_equal(semaim.embed(named, run), expected)


def test_a_path_may_end_in_a_space(run: Path, images: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "a.png "
    path.write_bytes(images[0].read_bytes())
    np.testing.assert_array_equal(semaim.embed([path], run), semaim.embed(images[:1], run))


def test_features_and_sizes(run: Path, images: list[Path]) -> None:
    mean, cls, both = (semaim.embed(images, run, feature=feature) for feature in ("mean", "cls", "both"))
    assert both.shape == (len(images), 48)
    assert {mean.tobytes(), cls.tobytes()} == {both[:, :24].tobytes(), both[:, 24:].tobytes()}
    larger = semaim.embed(images, run, image_size=(40, 48))
    assert larger.shape == mean.shape
    assert not np.array_equal(larger, mean)


def test_an_image_that_cannot_be_read_is_named(run: Path, images: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nand nothing more")
    mixed = [images[0], broken, images[1]]
    with pytest.raises(semaim.UsageError, match=r"1 of 3 images cannot be read\n.*broken\.png"):
        semaim.embed(mixed, run)
    found = semaim.embed([*mixed, tmp_path / "not there.png"], run, unreadable="nan")
    assert np.isnan(found[[1, 3]]).all()
    np.testing.assert_array_equal(found[[0, 2]], semaim.embed(images[:2], run))


def test_rows_of_nan_are_all_that_is_left_of_images_that_are_gone(run: Path, images: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    gone = [tmp_path / f"{number}.png" for number in range(20)]
    found = semaim.embed([*gone, *images[:2]], run, unreadable="nan")
    assert np.isnan(found[:20]).all()
    np.testing.assert_array_equal(found[20:], semaim.embed(images[:2], run))
    for none in (gone, [broken]):
        for feature, width in (("mean", 24), ("both", 48)):
            found = semaim.embed(none, run, feature=feature, unreadable="nan")  # type: ignore[arg-type]
            assert found.shape == (len(none), width)
            assert np.isnan(found).all()
    with pytest.raises(semaim.UsageError, match=r"1 of 1 images cannot be read\n.*broken\.png"):
        semaim.embed([broken], run)
    names = [os.fsencode(path) for path in images[:2]]
    np.testing.assert_array_equal(semaim.embed(names, run), semaim.embed(images[:2], run))  # type: ignore[arg-type]


def test_notes_of_the_program_are_handed_on(
    run: Path, images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    semaim.embed([images[0], broken], run, unreadable="nan")
    assert "broken.png" in capsys.readouterr().err


def test_an_interruption_ends_the_program(
    run: Path, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            raise KeyboardInterrupt

    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    monkeypatch.setattr(sys, "stderr", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        semaim.embed([broken, *images], run)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(
    ("paths", "message"),
    [([], "no image"), (["gone.png"], "no file .*gone.png"), (["a\nb.png"], "line break"), (["\udcff.png"], "UTF-8")],
)
def test_paths_that_cannot_be_are_refused(run: Path, paths: list[str], message: str) -> None:
    with pytest.raises(semaim.UsageError, match=message):
        semaim.embed(paths, run)


def test_one_path_is_no_sequence_of_paths(run: Path, images: list[Path]) -> None:
    with pytest.raises(TypeError, match="sequence"):
        semaim.embed(str(images[0]), run)
    with pytest.raises(TypeError, match="sequence"):
        semaim.embed(images[0], run)  # type: ignore[arg-type]


def test_values_that_cannot_be_are_refused(run: Path, images: list[Path]) -> None:
    with pytest.raises(semaim.UsageError, match="median"):
        semaim.embed(images, run, feature="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="skip"):
        semaim.embed(images, run, unreadable="skip")  # type: ignore[arg-type]
    with pytest.raises(semaim.UsageError, match="33"):
        semaim.embed(images, run, image_size=33)
