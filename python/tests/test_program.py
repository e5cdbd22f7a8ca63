"""The program in the package: where it is, and how its failures arrive."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from importlib.metadata import distribution, requires, version
from pathlib import Path

import pytest
import semaim


def said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_command_is_the_packages_program() -> None:
    beside_python = Path(sys.executable).with_name("semaim")
    assert semaim.program() == str(beside_python)
    expected = f"semaim {version('semaim')}\n"
    assert said(str(beside_python), "--version") == expected
    assert said(sys.executable, "-m", "semaim", "--version") == expected


def test_an_exit_code_arrives() -> None:
    ran = subprocess.run([sys.executable, "-m", "semaim", "no-such-command"], capture_output=True, text=True)
    assert ran.returncode == 2
    assert "no-such-command" in ran.stderr


def test_a_failure_is_an_exception_with_the_programs_message(tmp_path: Path, images: list[Path]) -> None:
    with pytest.raises(semaim.UsageError, match="no-such-run") as caught:
        semaim.embed(images, tmp_path / "no-such-run")
    assert isinstance(caught.value, semaim.Error)
    assert isinstance(caught.value, ValueError)
    assert caught.value.code == 2
    assert "error:" not in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.code) == (semaim.UsageError, str(caught.value), 2)


def test_a_pickled_error_keeps_its_code() -> None:
    again = pickle.loads(pickle.dumps(semaim.Error("killed", -9)))
    assert (type(again), str(again), again.code) == (semaim.Error, "killed", -9)


def test_what_the_package_needs_is_numpy_alone() -> None:
    assert [need for need in requires("semaim") or [] if "extra ==" not in need] == ["numpy"]


def test_the_program_of_a_wheel_for_every_linux_is_static() -> None:
    if "musllinux" not in (distribution("semaim").read_text("WHEEL") or ""):
        pytest.skip("the wheel was built for this machine alone")
    elf = Path(semaim.program()).read_bytes()
    (start,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    kinds = [struct.unpack_from("<I", elf, start + number * size)[0] for number in range(count)]
    loadable, interpreter = 1, 3
    assert loadable in kinds
    assert interpreter not in kinds


def test_types_come_with_the_package() -> None:
    assert Path(semaim.__file__).with_name("py.typed").is_file()
