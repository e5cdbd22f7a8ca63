"""Makes a set of the size of COCO's val2017 with 100 detections per image, and times evaluators on it.

    python3 -m venv venv && venv/bin/pip install pycocotools==2.0.11
    venv/bin/python benches/coco_eval/made_up.py make DIR                      # truth.json, detections.json
    venv/bin/python benches/coco_eval/made_up.py time DIR --program target/release/semaim --pairs 3

5,000 images, 80 classes, 7 objects and 100 detections per image; objects are polygons, detections boxes and run lengths.
`time` runs the program and pycocotools in turn, each in a process of its own, boxes and masks, and prints seconds and
the most memory of each.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

WIDTH, HEIGHT = 640, 480


def outline(rng, x, y, w, h):
    """A polygon of 24 corners near an ellipse."""
    points = []
    for n in range(24):
        angle, size = n * math.pi / 12, rng.uniform(0.85, 1.0)
        points += [
            round(x + w / 2 * (1 + size * math.cos(angle)), 2),
            round(y + h / 2 * (1 + size * math.sin(angle)), 2),
        ]
    return points


def box(rng):
    size = math.exp(rng.uniform(math.log(8), math.log(300)))
    w, h = min(size * rng.uniform(0.5, 1.5), WIDTH - 1), min(size * rng.uniform(0.5, 1.5), HEIGHT - 1)
    return [rng.uniform(0, WIDTH - w), rng.uniform(0, HEIGHT - h), w, h]


def moved(rng, found):
    x, y, w, h = (value + rng.gauss(0, 0.1) * size for value, size in zip(found, found[2:] * 2))
    x, y = max(x, 0), max(y, 0)
    return [x, y, max(min(w, WIDTH - x), 1), max(min(h, HEIGHT - y), 1)]


def make(folder, images, detections):
    from pycocotools import mask as mask_utils

    rng = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    truth = {"images": [], "categories": [{"id": n + 1, "name": f"class {n + 1}"} for n in range(80)], "annotations": []}
    with open(folder / "detections.json", "w") as out:
        out.write("[")
        for image in range(images):
            truth["images"].append({"id": image, "width": WIDTH, "height": HEIGHT, "file_name": f"{image}.jpg"})
            objects = [(rng.randint(1, 80), box(rng)) for _ in range(7)]
            for category, b in objects:
                truth["annotations"].append(
                    {
                        "id": len(truth["annotations"]) + 1,
                        "image_id": image,
                        "category_id": category,
                        "bbox": b,
                        "area": b[2] * b[3] * 0.7,
                        "iscrowd": int(rng.random() < 0.01),
                        "segmentation": [outline(rng, *b)],
                    }
                )
            found = []
            for _ in range(detections):
                category, b = rng.choice(objects) if rng.random() < 0.3 else (rng.randint(1, 80), box(rng))
                found.append((category, moved(rng, b), rng.random()))
            masks = mask_utils.frPyObjects([outline(rng, *b) for _, b, _ in found], HEIGHT, WIDTH)
            for n, ((category, b, score), mask) in enumerate(zip(found, masks)):
                result = {
                    "image_id": image,
                    "category_id": category,
                    "bbox": [round(value, 2) for value in b],
                    "score": round(score, 4),
                    "segmentation": {"size": mask["size"], "counts": mask["counts"].decode()},
                }
                out.write((",\n" if image or n else "\n") + json.dumps(result))
        out.write("\n]\n")
    (folder / "truth.json").write_text(json.dumps(truth))


def with_pycocotools(folder):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(folder / "truth.json"))
    detections = truth.loadRes(str(folder / "detections.json"))
    for kind in ("bbox", "segm"):
        evaluation = COCOeval(truth, detections, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()


def seconds_and_memory(command):
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} ended with {status}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def compare(folder, program, pairs):
    files = ["--annotations", str(folder / "truth.json"), "--detections", str(folder / "detections.json")]
    commands = {
        "semaim": [program, "coco-eval", *files],
        "pycocotools": [sys.executable, __file__, "pycocotools", str(folder)],
    }
    for _ in range(pairs):
        for name, command in commands.items():
            load = os.getloadavg()[0]
            wall, cpu, memory = seconds_and_memory(command)
            print(f"{name:<12} {wall:7.1f} s, {cpu:7.1f} s of CPU, {memory:5.2f} GiB (load {load:.1f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("make", "time", "pycocotools"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path)
        if name == "make":
            command.add_argument("--images", type=int, default=5000)
            command.add_argument("--detections", type=int, default=100)
        if name == "time":
            command.add_argument("--program", default="target/release/semaim")
            command.add_argument("--pairs", type=int, default=3)
    args = parser.parse_args()
    if args.command == "make":
        make(args.folder, args.images, args.detections)
    elif args.command == "time":
        compare(args.folder, args.program, args.pairs)
    else:
        with_pycocotools(args.folder)


if __name__ == "__main__":
    main()
