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

# 16 steps of a small SemAIM, and 200 of a tiny one, whose memory must not grow: what a line of the log may be off, relative.
COMMON = ["train.epochs=1", "optimizer.warmup_epochs=0", "eval.pictures=0"]
SMALL = [
    *COMMON, "data.shapes_count=256", "train.batch_size=16", "decoder.query_depth=2", "log.every_steps=1",
    "eval.max_bank=32", "eval.max_queries=16",
]  # fmt: skip
TINY = [
    *COMMON, "data.shapes_count=800", "train.batch_size=4", "model.image_size=[32,32]", "model.depth=1", "model.embed_dim=48",
    "model.num_heads=3", "decoder.query_depth=1", "log.every_steps=10", "eval.max_bank=16", "eval.max_queries=8",
]  # fmt: skip
RUNS = {
    "16 steps": (SMALL, {"train/loss": 1e-5, "train/grad_norm": 3e-4}),
    "200 steps": (TINY, {"train/loss": 1e-3, "train/grad_norm": 1e-2}),
}
# Memory at the last of these steps, relative to the first.
MEMORY_STEPS = [20, 100, 200]
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


def pretrain(program, device, settings, out):
    """Runs; gives the lines of the log, and what memory it took at some steps."""
    command = [program, "pretrain", "--data", "shapes", "--out", out, "--device", device]
    command += [part for setting in settings for part in ("--set", setting)]
    print("$", " ".join(map(str, command)), flush=True)
    memory = {}
    with subprocess.Popen([str(part) for part in command]) as process:
        while process.poll() is None:
            file = out / "metrics.jsonl"
            lines = file.read_text().splitlines(keepends=True) if file.exists() else []
            steps = [json.loads(line).get("step", 0) for line in lines if line.endswith("\n")]
            for step in MEMORY_STEPS:
                if step not in memory and steps and max(steps) >= step:
                    memory[step] = resident(process.pid)
            time.sleep(0.05)
    if process.returncode:
        sys.exit(1)
    return metrics(out), memory


def compare(program, device, name):
    """Whether a run on the device follows that on the CPU, in the same memory from start to end."""
    settings, tolerances = RUNS[name]
    with tempfile.TemporaryDirectory() as folder:
        (cpu, _), (other, memory) = (
            pretrain(program, on, settings, Path(folder) / on.replace(":", "-")) for on in ("cpu", device)
        )
    agrees = True
    for key, tolerance in tolerances.items():
        largest = max(abs(a[key] - b[key]) / abs(a[key]) for a, b in zip(cpu, other, strict=True))
        # Written so that a NaN is off.
        is_off = not largest <= tolerance
        agrees &= not is_off
        verdict = "IS OFF" if is_off else "agrees"
        print(f"{verdict}  {key} of {name}: largest relative difference {largest:.1e}, allowed {tolerance:.0e}")
    memory = {step: bytes_ for step, bytes_ in memory.items() if bytes_}
    if len(memory) > 1:
        grows = memory[max(memory)] > MEMORY_GROWTH * memory[min(memory)]
        agrees &= not grows
        told = ", ".join(f"{bytes_ / 1e6:.0f} MB at step {step}" for step, bytes_ in memory.items())
        print(f"{'GROWS ' if grows else 'agrees'}  memory of {name}: {told}")
    return agrees


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
    for name in RUNS:
        off |= not compare(program, options.device, name)
    # What a step waits for, and what it launches.
    sizes = ["--depth", "2", "--image-size", "64", "--batch", "4", "--steps", "2"]
    off |= run([program, "bench", "step", "--device", options.device, *sizes]) != 0
    sys.exit(1 if off else 0)


if __name__ == "__main__":
    main()
