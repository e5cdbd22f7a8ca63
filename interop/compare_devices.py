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
import time
from pathlib import Path

# 16 steps of a small SemAIM: what is the same in every step is a relative difference.
RUN = [
    "train.epochs=1", "data.shapes_count=256", "train.batch_size=16", "decoder.query_depth=2", "optimiser.warmup_epochs=0",
    "log.every_steps=1", "eval.pictures=0", "eval.max_bank=32", "eval.max_queries=16",
]  # fmt: skip
TOLERANCE = {"train/loss": 1e-5, "train/grad_norm": 3e-4}

# 200 steps of a tiny one, whose memory must not grow.
MEMORY_RUN = [
    "train.epochs=1", "data.shapes_count=800", "train.batch_size=4", "model.image_size=[32,32]", "model.depth=1",
    "model.embed_dim=48", "model.num_heads=3", "decoder.query_depth=1", "optimiser.warmup_epochs=0", "log.every_steps=10",
    "eval.pictures=0", "eval.max_bank=16", "eval.max_queries=8",
]  # fmt: skip
MEMORY_STEPS = [20, 100, 200]
# Of what it was after the first of them.
MEMORY_GROWTH = 1.05


def run(command, **environment):
    print("$", " ".join(map(str, command)), flush=True)
    return subprocess.run([str(part) for part in command], env={**os.environ, **environment}).returncode


def metrics(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if "train/loss" in entry]


def resident(process):
    """Bytes of a process in memory; an adapter made of software keeps its own there."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    return None


def memory(program, device):
    """Whether memory stays as it is over a run's steps."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "run"
        command = [program, "pretrain", "--data", "shapes", "--out", out, "--device", device]
        command += [part for setting in MEMORY_RUN for part in ("--set", setting)]
        print("$", " ".join(map(str, command)), flush=True)
        found = {}
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                file = out / "metrics.jsonl"
                lines = file.read_text().splitlines(keepends=True) if file.exists() else []
                steps = [json.loads(line).get("step", 0) for line in lines if line.endswith("\n")]
                for step in MEMORY_STEPS:
                    if step not in found and steps and max(steps) >= step:
                        found[step] = resident(process.pid)
                time.sleep(0.05)
    told = ", ".join(f"{bytes_ / 1e6:.0f} MB at step {step}" for step, bytes_ in found.items() if bytes_)
    grows = len(found) < len(MEMORY_STEPS) or found[MEMORY_STEPS[-1]] > MEMORY_GROWTH * found[MEMORY_STEPS[0]]
    print(f"{'GROWS ' if grows else 'agrees'}  memory: {told}")
    return not grows


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
    off |= not memory(program, options.device)
    # What a step waits for, and what it launches.
    sizes = ["--depth", "2", "--image-size", "64", "--batch", "4", "--steps", "2"]
    off |= run([program, "bench", "step", "--device", options.device, *sizes]) != 0
    sys.exit(1 if off else 0)


if __name__ == "__main__":
    main()
