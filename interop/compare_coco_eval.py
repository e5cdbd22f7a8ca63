"""Compares `semaim coco-eval` with pycocotools on random truths and detections.

    python3 -m venv venv && venv/bin/pip install pycocotools==2.0.11
    venv/bin/python interop/compare_coco_eval.py --program target/release/semaim --cases 500

Each case is a small set of its own: ids out of order and large, crowds as polygons and as run lengths, scores that tie,
areas on the bounds, images without anything, categories without truth or without detections, more than 100 detections
of an image, the annotation id 0, results with boxes, masks or both; one in three takes all categories as one. It ends
with 1 when a number differs by 1e-9.
"""

import argparse
import contextlib
import io
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

AREAS = [0, 1, 1023, 1023.9999, 1024, 1024.0001, 9215, 9216, 9217, 1e5, 2e10]


def random_box(rng, width, height):
    whole = rng.random() < 0.4
    number = (lambda a, b: float(rng.randint(int(a), int(b)))) if whole else rng.uniform
    x, y = number(-3, width - 1), number(-3, height - 1)
    return [x, y, number(0, width), number(0, height)]


def jittered(rng, box):
    if rng.random() < 0.3:
        return list(box)
    by = rng.choice([0.5, 2.0, 6.0])
    moved = [value + rng.uniform(-by, by) for value in box]
    return moved[:2] + [max(0.0, value) for value in moved[2:]]


def polygon(rng, box):
    """A few points about a box, now and then crossing themselves."""
    x, y, w, h = box
    count = rng.randint(3, 8)
    points = [(x + rng.uniform(-0.1, 1.1) * w, y + rng.uniform(-0.1, 1.1) * h) for _ in range(count)]
    if rng.random() < 0.3:
        points = [(round(a), round(b)) for a, b in points]
    return [float(value) for point in points for value in point]


def rectangle(box):
    x, y, w, h = box
    return [x, y, x, y + h, x + w, y + h, x + w, y]


def runs(rng, box, width, height):
    bits = np.zeros((height, width), np.uint8, order="F")
    x, y, w, h = (int(round(value)) for value in box)
    bits[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = 1
    if rng.random() < 0.5:
        noise = np.random.RandomState(rng.randrange(2**31)).rand(height, width)
        bits ^= (noise < rng.choice([0.02, 0.2])).astype(np.uint8)
    return np.asfortranarray(bits)


def compressed(bits):
    found = mask_utils.encode(bits)
    return {"size": found["size"], "counts": found["counts"].decode()}


def uncompressed(bits):
    flat = bits.flatten(order="F")
    counts, value = [0], 0
    for bit in flat:
        if bit != value:
            counts.append(0)
            value = bit
        counts[-1] += 1
    return {"size": list(bits.shape), "counts": counts}


def segmentation(rng, box, width, height, only_text=False):
    kind = "text" if only_text else rng.choice(["polygons", "polygons", "text", "list"])
    if kind == "polygons":
        return [polygon(rng, box) if rng.random() < 0.7 else rectangle(box) for _ in range(rng.randint(1, 3))]
    bits = runs(rng, box, width, height)
    return compressed(bits) if kind == "text" else uncompressed(bits)


def random_case(seed):
    rng = random.Random(seed)
    big = rng.random() < 0.3
    ids = lambda count: rng.sample(range(10**15) if big else range(200), count)
    sizes = [(rng.randint(5, 150), rng.randint(5, 150)) for _ in range(rng.randint(1, 6))]
    images = [
        {"id": id, "width": w, "height": h, "file_name": f"{id}.jpg"} for id, (w, h) in zip(ids(len(sizes)), sizes)
    ]
    categories = [{"id": id, "name": f"c{id}"} for id in ids(rng.randint(1, 4))]
    numbers = iter(rng.sample(range(0 if rng.random() < 0.3 else 1, 300), 200))
    annotations, detections = [], []
    form = rng.choice(["both", "both", "both", "boxes", "masks", "some masks"])
    for image in images:
        w, h = image["width"], image["height"]
        if rng.random() < 0.15:
            continue
        boxes = [random_box(rng, w, h) for _ in range(rng.randint(0, 8))]
        for box in boxes:
            category = rng.choice(categories)["id"]
            crowd = int(rng.random() < 0.2)
            annotations.append(
                {
                    "id": next(numbers),
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": box,
                    "area": rng.choice(AREAS) if rng.random() < 0.4 else box[2] * box[3] * rng.uniform(0.5, 1),
                    "iscrowd": crowd,
                    "segmentation": segmentation(rng, box, w, h),
                }
            )
        count = rng.choice([0, 1, 3, 10, 30]) if rng.random() < 0.9 else 150
        scores = [n / 10 for n in range(rng.randint(1, 11))] if rng.random() < 0.6 else None
        one = rng.choice(categories)["id"]
        for _ in range(count):
            box = jittered(rng, rng.choice(boxes)) if boxes and rng.random() < 0.8 else random_box(rng, w, h)
            found = {
                "image_id": image["id"],
                "category_id": one if rng.random() < 0.8 else rng.choice(categories)["id"],
                "score": rng.choice(scores) if scores else rng.uniform(-1, 1),
            }
            if form != "masks":
                found["bbox"] = box
            if form in ("both", "masks") or form == "some masks" and rng.random() < 0.7:
                found["segmentation"] = segmentation(rng, box, w, h, only_text=form == "masks")
            detections.append(found)
    rng.shuffle(annotations)
    rng.shuffle(detections)
    return {"images": images, "categories": categories, "annotations": annotations}, detections


def expected(truth, detections, class_agnostic):
    with contextlib.redirect_stdout(io.StringIO()):
        annotations = COCO(str(truth))
        results = annotations.loadRes(str(detections))
        numbers = {}
        masks = any("segmentation" in found for found in json.loads(detections.read_text()))
        for kind in ("bbox", "segm") if masks else ("bbox",):
            evaluation = COCOeval(annotations, results, kind)
            evaluation.params.useCats = int(not class_agnostic)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            by_category = {}
            for n, id in enumerate([-1] if class_agnostic else evaluation.params.catIds):
                precision = evaluation.eval["precision"][:, :, n, 0, 2]
                mean = lambda values: float(values[values > -1].mean()) if (values > -1).any() else -1.0
                by_category[str(id)] = [mean(precision), mean(precision[0])]
            numbers[kind] = {"stats": list(evaluation.stats), "per_category_ap_ap50": by_category}
    return numbers


def difference(found, wanted):
    if found.keys() != wanted.keys():
        return float("inf")
    worst = 0.0
    for kind, numbers in wanted.items():
        pairs = [(found[kind]["stats"], numbers["stats"])]
        pairs += [(found[kind]["per_category_ap_ap50"][id], ap) for id, ap in numbers["per_category_ap_ap50"].items()]
        worst = max([worst] + [abs(a - b) for left, right in pairs for a, b in zip(left, right, strict=True)])
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="target/release/semaim")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the cases that differ")
    args = parser.parse_args()
    compared = wrong = detections_of_all = 0
    with tempfile.TemporaryDirectory() as folder:
        truth, detections = Path(folder) / "truth.json", Path(folder) / "detections.json"
        for seed in range(args.seed, args.seed + args.cases):
            case = random_case(seed)
            if not case[1]:
                continue  # pycocotools takes no empty results
            truth.write_text(json.dumps(case[0]))
            detections.write_text(json.dumps(case[1]))
            class_agnostic = seed % 3 == 2
            wanted = expected(truth, detections, class_agnostic)
            command = [args.program, "coco-eval", "--annotations", truth, "--detections", detections, "--json"]
            command += ["--class-agnostic"] * class_agnostic
            ran = subprocess.run(command, capture_output=True, text=True)
            off = difference(json.loads(ran.stdout), wanted) if ran.returncode == 0 else float("inf")
            compared += 1
            detections_of_all += len(case[1])
            if off > 1e-9:
                wrong += 1
                print(f"seed {seed}: {off} {ran.stderr.strip()}")
                if args.keep:
                    args.keep.mkdir(exist_ok=True)
                    (args.keep / f"{seed}_truth.json").write_text(truth.read_text())
                    (args.keep / f"{seed}_detections.json").write_text(detections.read_text())
    print(f"{compared} cases with {detections_of_all} detections compared, {wrong} differ")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
