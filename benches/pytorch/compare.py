"""Runs semaim and PyTorch in turn, A B A B ..., and prints medians and ratios.

    python benches/pytorch/compare.py --python PATH --semaim target/release/semaim

``--python`` is a Python with PyTorch; this script itself needs only the standard library. Each run is a process of its
own, which warms up, measures a few steps and gives their median; a pair is one run of each. The machine should do
nothing else. One line of JSON per comparison goes to ``--json FILE``, with every pair.

``--loader DIR`` compares the preparation of training views from a folder of photographs on one core instead, and
``--dense`` training steps and inference of detectors and segmenters (``cargo build --release --examples`` first).
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

WORK = {
    "vit-ti16": ("step", "vit-ti16", 32),
    "vit-s16": ("step", "vit-s16", 16),
    "vit-b16": ("step", "vit-b16", 8),
    "embed-vit-s16": ("embed", "vit-s16", 32),
}
OPPONENTS = {
    "authors": ["--way", "authors"],
    "tuned": ["--way", "tuned"],
    "tuned+compile": ["--way", "tuned", "--compile"],
}
# Our example and its arguments, their script and its arguments.
DENSE = {
    "detect-vit-ti16": (["detect_step_time", "tiny", "whole"], ["detect.py", "--size", "tiny"]),
    "detect-vit-s16": (["detect_step_time", "small", "whole"], ["detect.py", "--size", "small"]),
    "detect-infer-vit-ti16": (["detect_step_time", "tiny", "infer"], ["detect.py", "--size", "tiny", "--infer"]),
    "detect-infer-vit-s16": (["detect_step_time", "small", "infer"], ["detect.py", "--size", "small", "--infer"]),
    "segment-vit-ti16": (["segment_step_time", "tiny", "whole"], ["segment.py", "--size", "tiny"]),
    "segment-vit-s16": (["segment_step_time", "small", "whole"], ["segment.py", "--size", "small"]),
}
DENSE_OPPONENTS = {"plain": [], "channels-last": ["--channels-last"]}
STEP = pathlib.Path(__file__).with_name("step.py")
LOADER = pathlib.Path(__file__).with_name("loader.py")


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def alternate(args, ours, theirs):
    return [(run(ours), run(theirs)) for _ in range(args.pairs)]


def keep(args, line):
    if args.json:
        with args.json.open("a") as out:
            out.write(json.dumps(line) + "\n")


def compare_loaders(args):
    print(f"{'opponent':<16}{'semaim /s':>10}{'theirs /s':>11}{'ratio':>8}{'from':>8}{'to':>7}")
    sizes = ["--data", args.loader, "--image-size", "224", "--images", "1500"]
    for opponent in ["pillow", "torchvision"]:
        ours_command = [args.semaim, "bench", "loader", *sizes, "--workers", "1", "--json"]
        theirs_command = [args.python, LOADER, *sizes, "--way", opponent]
        pairs = [
            (ours["loader"][0]["images_per_second"], theirs["images_per_second"])
            for ours, theirs in alternate(args, ours_command, theirs_command)
        ]
        ours, theirs = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
        ratios = sorted(ours / theirs for ours, theirs in pairs)
        ratio = statistics.median(ratios)
        print(f"{opponent:<16}{ours:>10.0f}{theirs:>11.0f}{ratio:>8.2f}{ratios[0]:>8.2f}{ratios[-1]:>7.2f}", flush=True)
        keep(args, {"work": "loader", "data": args.loader, "opponent": opponent, "ratio": ratio, "pairs": pairs})


HEADER = f"{'work':<22}{'opponent':<16}{'semaim s':>10}{'PyTorch s':>11}{'ratio':>8}{'from':>8}{'to':>7}{'memory':>8}"


def report(args, name, opponent, pairs):
    ours = statistics.median(pair[0]["seconds"] for pair in pairs)
    theirs = statistics.median(pair[1]["seconds"] for pair in pairs)
    ratios = sorted(pair[1]["seconds"] / pair[0]["seconds"] for pair in pairs)
    ratio = statistics.median(ratios)
    memory = statistics.median(pair[0]["peak_bytes"] / pair[1]["peak_bytes"] for pair in pairs)
    print(
        f"{name:<22}{opponent:<16}{ours:>10.3f}{theirs:>11.3f}{ratio:>8.2f}{ratios[0]:>8.2f}{ratios[-1]:>7.2f}{memory:>8.2f}",
        flush=True,
    )
    line = {
        "work": name,
        "opponent": opponent,
        "semaim_seconds": ours,
        "pytorch_seconds": theirs,
        "ratio": ratio,
        "ratios": ratios,
        "memory_ratio": memory,
        "pairs": pairs,
    }
    keep(args, line)


def compare_dense(args):
    print(HEADER)
    examples = pathlib.Path(args.semaim).with_name("examples")
    for name in args.dense or DENSE:
        (example, *ours), (script, *theirs) = DENSE[name]
        for opponent in args.dense_opponents:
            way = DENSE_OPPONENTS[opponent]
            ours_command = [examples / example, *ours, f"rounds={args.steps}"]
            theirs_command = [args.python, STEP.with_name(script), *theirs, *way, "--steps", str(args.steps)]
            report(args, name, opponent, alternate(args, ours_command, theirs_command))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="a Python with PyTorch")
    parser.add_argument("--semaim", required=True, help="the semaim program, built with --release")
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--opponents", nargs="+", choices=OPPONENTS, default=["authors", "tuned"])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="measured steps per run")
    parser.add_argument("--loader", metavar="DIR", help="compare loaders on these photographs, and nothing else")
    parser.add_argument("--dense", nargs="*", choices=DENSE, help="compare these detectors and segmenters, or all")
    parser.add_argument("--dense-opponents", nargs="+", choices=DENSE_OPPONENTS, default=list(DENSE_OPPONENTS))
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="of both: bf16 is autocast there")
    parser.add_argument("--threads", type=int, help="of both; all of the machine's without it")
    parser.add_argument("--json", type=pathlib.Path, help="a file to add lines to")
    args = parser.parse_args()
    if args.loader:
        compare_loaders(args)
        return
    if args.dense is not None:
        compare_dense(args)
        return
    print(HEADER)
    for name in args.work:
        work, model, batch = WORK[name]
        for opponent in args.opponents:
            if work == "embed" and opponent == "authors":
                continue
            sizes = ["--model", model, "--batch", str(batch), "--steps", str(args.steps)]
            threads = ["--threads", str(args.threads)] if args.threads else []
            ours_command = [args.semaim, "bench", work, *sizes, *threads, "--no-bound", "--json"]
            ours_command += ["--precision", args.precision]
            theirs_command = [args.python, STEP, "--work", work, *sizes, *threads, *OPPONENTS[opponent]]
            theirs_command += ["--bf16"] if args.precision == "bf16" else []
            pairs = alternate(args, ours_command, theirs_command)
            report(args, name if args.precision == "f32" else f"{name}-bf16", opponent, pairs)


main()
