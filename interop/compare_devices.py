"""Builds the program for a GPU backend and compares an adapter with the CPU: self-test, recorded numbers, a run of training.

    python interop/compare_devices.py --device wgpu:0 [--run-only]

An adapter made of software will do (docs/gpu.md says where to get one). The build takes half an hour of CPU time. Needs Python
and a Rust toolchain. Prints what it finds and ends with 1 if something is off. CI does not run it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# 16 steps of a small SemAIM: what is the same in every step is a relative difference.
RUN = [
    "train.epochs=1", "data.shapes_count=256", "train.batch_size=16", "decoder.query_depth=2", "optimiser.warmup_epochs=0",
    "log.every_steps=1", "eval.pictures=0", "eval.max_bank=32", "eval.max_queries=16",
]  # fmt: skip
TOLERANCE = {"train/loss": 1e-5, "train/grad_norm": 3e-4}


def run(command, **environment):
    print("$", " ".join(map(str, command)), flush=True)
    return subprocess.run([str(part) for part in command], env={**os.environ, **environment}).returncode


def metrics(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if "train/loss" in entry]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="wgpu:0")
    parser.add_argument("--run-only", action="store_true", help="the program is built; leave the recorded numbers out")
    options = parser.parse_args()
    feature = options.device.split(":")[0]
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    program = target / "release" / "semaim"
    off = False
    if not options.run_only:
        packages = ["-p", "semaim-cli", "-p", "semaim-eval", "--features", f"semaim-cli/{feature}"]
        if run(["cargo", "build", "--release", *packages]):
            sys.exit(1)
        test = ["cargo", "test", "--release", *packages, "--test", "reference", "--", "--nocapture"]
        off |= run(test, SEMAIM_DEVICE=options.device) != 0
    with tempfile.TemporaryDirectory() as name:
        found = []
        for device in ("cpu", options.device):
            out = Path(name) / device.replace(":", "-")
            command = [program, "pretrain", "--data", "shapes", "--out", out, "--device", device]
            if run(command + [part for setting in RUN for part in ("--set", setting)]):
                sys.exit(1)
            found.append(metrics(out))
        cpu, other = found
        for key, tolerance in TOLERANCE.items():
            largest = max(abs(a[key] - b[key]) / abs(a[key]) for a, b in zip(cpu, other, strict=True))
            # Written so that a NaN is off.
            is_off = not largest <= tolerance
            off |= is_off
            verdict = "IS OFF" if is_off else "agrees"
            print(f"{verdict}  {key} of {len(cpu)} steps: largest relative difference {largest:.1e}, allowed {tolerance:.0e}")
    # What a step waits for, and what it launches.
    sizes = ["--depth", "2", "--image-size", "64", "--batch", "4", "--steps", "2"]
    off |= run([program, "bench", "step", "--device", options.device, *sizes]) != 0
    sys.exit(1 if off else 0)


if __name__ == "__main__":
    main()
