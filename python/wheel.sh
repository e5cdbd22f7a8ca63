#!/usr/bin/env bash
# Builds the wheel into a folder (target/wheels if none is given), with maturin and wheel from the path. What was built in
# target/release is taken; the program alone is compiled once more, on Linux linked statically: such a wheel runs on every
# distribution, whichever C library it has and of what age.
set -euo pipefail
out=${1:-$(dirname "$0")/../target/wheels}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.."

if [ "$(uname -s)" != Linux ]; then
    exec maturin build --release --out "$out"
fi
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
maturin build --release --out "$built" -- -C target-feature=+crt-static
# maturin reads from the file what it needs of the system, which is nothing; that this includes musl it does not know.
machine=$(uname -m)
python3 -m wheel tags --remove --platform-tag "manylinux_2_17_$machine.manylinux2014_$machine.musllinux_1_1_$machine" "$built"/*.whl
mv "$built"/*.whl "$out"
ls "$out"
