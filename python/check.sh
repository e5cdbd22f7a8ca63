#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh virtual environment, tests it there and checks its types. What was built in target/release
# is taken. With SEMAIM_TORCH_PYTHON, a Python that has PyTorch and torchvision, `semaim.load` is tested on top of its packages, too.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pip=(-m pip --quiet --disable-pip-version-check install)

"${SEMAIM_PYTHON:-python3}" -m venv "$folder/fresh"
python="$folder/fresh/bin/python"
"$python" "${pip[@]}" 'maturin>=1.9,<2' 'mypy==2.4.*' 'pytest==9.*' wheel
PATH="$folder/fresh/bin:$PATH" bash python/wheel.sh "$folder/wheels"
"$python" "${pip[@]}" "$folder"/wheels/*.whl
"$python" -m pytest
"$python" -m mypy

if [ -n "${SEMAIM_TORCH_PYTHON:-}" ]; then
    "$SEMAIM_TORCH_PYTHON" -m venv --system-site-packages "$folder/torch"
    python="$folder/torch/bin/python"
    "$python" "${pip[@]}" 'pytest==9.*' 'timm==1.0.31' "$folder"/wheels/*.whl
    SEMAIM_REQUIRE_TIMM=1 "$python" -m pytest python/tests/test_load.py
fi
