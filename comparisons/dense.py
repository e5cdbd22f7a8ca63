"""Which encoder, under a detector and under segmenters: every run of the tables in docs/results/dense.md, and the tables.

    python comparisons/dense.py detect  --out DIR
    python comparisons/dense.py linear  --out DIR [--data FOLDER --set data.ignore_zero=true] [--teacher FILE]
    python comparisons/dense.py upernet --out DIR [--data FOLDER …] [--teacher FILE]
    python comparisons/dense.py linear  --out DIR --compared runs/order --encoders stochastic semantic-cls mae random

Encoders are pre-trained first, one per method (recipe shapes-96); `scratch` draws its weights anew, `random` is an encoder
that was not trained. With --compared they are those that `semaim compare` trained: variants by name, each head on the
encoder of its own seed. Each head is trained with every seed. What has been done is not done again, so the same command
goes on after an interruption; a run that was killed is resumed. Python's standard library is all it needs.
"""

import argparse
import hashlib
import json
import math
import pathlib
import statistics
import subprocess
import sys

# Two-sided 95 % points of Student's t for 1, 2, 3 … degrees of freedom.
STUDENT_T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]

ENCODERS = {
    "semaim": [],
    "mae": ["method=mae"],
    # One step at a learning rate that moves nothing: the weights as they are drawn.
    "random": ["data.shapes_count=32", "train.epochs=1", "optimizer.warmup_epochs=0", "optimizer.base_lr=1e-12"],
}

SEGMENTED = {"mIoU": "mean_iou", "mean accuracy": "mean_accuracy", "pixel accuracy": "pixel_accuracy"}

TASKS = {
    "detect": {
        "command": ["detect", "--recipe", "detect-small"],
        "set": ["detector.canvas=128", "detector.proposals.anchor_sizes=[8.0,16.0,32.0,64.0,128.0]"],
        "encoders": ["scratch", "semaim", "mae"],
        "columns": {"box AP": ("bbox", 0), "box AP50": ("bbox", 1), "mask AP": ("segm", 0), "mask AP50": ("segm", 1)},
    },
    "linear": {
        "command": ["segment", "--recipe", "linear-seg"],
        "set": [],
        "encoders": ["random", "semaim", "mae"],
        "columns": SEGMENTED,
    },
    "upernet": {
        "command": ["segment", "--recipe", "upernet-small"],
        "set": [],
        "encoders": ["scratch", "semaim", "mae"],
        "columns": SEGMENTED,
    },
}


def digest(weights):
    """What tells the encoder in a run directory, or in a file, from others."""
    file = weights / "encoder.safetensors" if weights.is_dir() else weights
    if not file.is_file():
        sys.exit(f"{file}: there is no encoder")
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def run_once(options, command, run, settings):
    """Trains into the run directory unless that is finished; an interrupted run is gone on with."""
    settings = [part for setting in settings for part in ("--set", setting)]
    told = [*command, *settings]
    if "--weights" in told:  # Known by its content, wherever it lies.
        place = told.index("--weights") + 1
        told[place] = digest(pathlib.Path(told[place]))
    finished, told = run / "finished", " ".join(told)
    if finished.exists():
        before = finished.read_text()
        if before and before != told:
            message = f"{run} was trained by another command, or on other weights; give another --out or --name"
            sys.exit(f"{message}\n  then: {before}\n  now:  {told}")
        if not before:
            print(f"{run}: by which command is not known", file=sys.stderr)
        return
    # The same command goes on where it was interrupted.
    arguments = [options.semaim, *command, "--out", str(run), *settings]
    print(" ".join(arguments), flush=True)
    log = run.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as out:
        subprocess.run(arguments, stdout=out, stderr=out, check=True)
    finished.write_text(told)


def encoder_options(options, name, seed):
    """How a head is told of its encoder."""
    if name == "teacher":
        return ["--weights", str(options.teacher), "--heads", str(options.teacher_heads)]
    if options.compared:
        return ["--weights", str(options.compared / name / f"seed-{seed}" / "pretrain")]
    method = "semaim" if name == "scratch" else name
    run = options.out / "encoders" / method
    run_once(options, ["pretrain", "--recipe", "shapes-96"], run, ENCODERS[method])
    return ["--weights", str(run), *(["--from-scratch"] if name == "scratch" else [])]


def scores_of(columns, run):
    """The numbers of a finished run, in per cent, by name."""
    scores = json.loads((run / "results.json").read_text())["last"]["scores"]
    if "metrics" in scores:
        return {name: 100 * scores["metrics"][key] for name, key in columns.items()}
    # COCO's -1 is of what there is no truth of; of sets of boxes there are no masks.
    stats = {kind: (scores[kind] or {}).get("stats") for kind, _ in columns.values()}
    shares = {name: stats[kind][place] if stats[kind] else -1 for name, (kind, place) in columns.items()}
    return {name: 100 * share if share >= 0 else math.nan for name, share in shares.items()}


def mean_and_interval(values):
    """Mean, standard deviation and half the 95 % interval of the mean; the latter two are None for one value."""
    mean, freedom = statistics.mean(values), len(values) - 1
    if freedom == 0 or math.isnan(mean):
        return mean, None, None
    deviation = statistics.stdev(values)
    return mean, deviation, STUDENT_T[freedom - 1] * deviation / math.sqrt(len(values))


def table(columns, scores):
    """Mean ± deviation over seeds; in brackets the paired difference to the first encoder with its 95 % interval."""
    print("| encoder | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
    first = next(iter(scores))
    for encoder, runs in scores.items():
        cells = []
        for column in columns:
            mean, deviation, _ = mean_and_interval([run[column] for run in runs])
            cell = f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"
            if encoder != first:
                paired = [run[column] - other[column] for run, other in zip(runs, scores[first])]
                difference, _, half = mean_and_interval(paired)
                interval = "" if half is None else f": {difference - half:+.1f} to {difference + half:+.1f}"
                cell += f" ({difference:+.1f}{interval})"
            cells.append(cell)
        print(f"| {encoder} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the runs")
    parser.add_argument("--name", help="folder of this table's runs within it [the task]")
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--encoders", nargs="+", help="of scratch, random, semaim, mae, teacher; or of --compared")
    parser.add_argument("--compared", type=pathlib.Path, help="folder of a comparison whose variants are the encoders")
    parser.add_argument("--teacher", type=pathlib.Path, help="weights of a trained encoder, for the encoder `teacher`")
    parser.add_argument("--teacher-heads", type=int, default=6)
    parser.add_argument("--teacher-set", action="append", default=[], help="settings for the teacher alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], help="settings of every head")
    parser.add_argument("--semaim", default="semaim", help="the program")
    options = parser.parse_args()
    if len(options.seeds) > len(STUDENT_T) + 1:
        parser.error(f"--seeds: at most {len(STUDENT_T) + 1}")
    for name, values in [("--seeds", options.seeds), ("--encoders", options.encoders or [])]:
        if len(set(values)) < len(values):
            parser.error(f"{name}: {values} has one twice")
    task = TASKS[options.task]
    encoders = options.encoders or task["encoders"] + (["teacher"] if options.teacher else [])
    settings = ["eval.every_epochs=0", "eval.pictures=0", *task["set"], *options.set]
    scores = {encoder: [] for encoder in encoders}
    # Seed by seed, so that an unfinished table is a table of fewer seeds.
    for seed in options.seeds:
        for encoder in encoders:
            run = options.out / (options.name or options.task) / f"{encoder}-{seed}"
            told = encoder_options(options, encoder, seed)
            own = [f"seed={seed}", *(options.teacher_set if encoder == "teacher" else [])]
            run_once(options, [*task["command"], *told, "--data", options.data], run, settings + own)
            scores[encoder].append(scores_of(task["columns"], run))
            print(encoder, seed, json.dumps(scores[encoder][-1]), flush=True)
    table(task["columns"], scores)


if __name__ == "__main__":
    main()
