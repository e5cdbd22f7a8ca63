"""Runs what `semaim export --layout onnx` writes in onnxruntime and compares with semaim's own answers.

    python interop/compare_onnx.py --semaim target/release/semaim --weights MODEL [--heads N] [--image-size S] [--dynamic]
        [--images FOLDER] [--set detector.canvas=N ...]

MODEL is an encoder in any layout, or a run of `semaim finetune`, `semaim detect` or `semaim segment`. Encoders: every token, and the vectors `cls`
and `mean`, against `semaim embed`; with --dynamic the file takes images of any size, and is asked at 0.75, 1 and 1.5 times its own.
Classifiers: probabilities against `semaim predict`. Segmenters: the class of every pixel against `semaim predict`, whose ties and
roundings may differ in one pixel of a thousand. Detectors: boxes and scores against `semaim predict`, and the pixels of masks; the
images are those of --images, or drawn. Needs Python with onnxruntime, numpy, safetensors and pillow. Nothing in the build
or the tests needs it. Prints a line per output and ends with 1 if one is off.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from safetensors.numpy import load_file

# The largest difference that counts as equal, as a share of the largest value.
TOLERANCE = 1e-4
# The share of pixels that may have another class.
PIXELS = 1e-3


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}:\n{done.stderr}")
    return done.stdout


def draw_images(folder, size, shown, channels, count=3):
    """Images of `size` as PNG files, and their middles of `shown`, as numbers from 0 to 1."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    images = []
    for i in range(count):
        y, x = np.mgrid[0 : size[0], 0 : size[1]] / max(size)
        waves = [np.sin(rng.uniform(2, 30) * x + rng.uniform(2, 30) * y + rng.uniform(0, 6)) for _ in range(channels)]
        pixels = (np.stack(waves, -1) * 110 + 128 + rng.normal(0, 8, (*size, channels))).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(folder / f"{i}.png")
        top, left = ((whole - part) // 2 for whole, part in zip(size, shown))
        images.append(pixels[top : top + shown[0], left : left + shown[1]])
    return np.stack(images).astype(np.float32) / 255


class Network:
    """An ONNX file and what it says of itself."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.about = self.session.get_modelmeta().custom_metadata_map
        self.input = json.loads(self.about["semaim.input"])

    def __call__(self, pixels):
        mean, std = (np.array(self.input[key], dtype=np.float32) for key in ("mean", "std"))
        images = ((pixels - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
        names = [output.name for output in self.session.get_outputs()]
        # Batches of another size than the images are fed in show that the first axis is free.
        parts = [self.session.run(names, {"images": part}) for part in (images[:1], images[1:])]
        return dict(zip(names, (np.concatenate(both) for both in zip(*parts))))


def tell(what, found, expected):
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    fits = found.shape == expected.shape and difference <= TOLERANCE
    print(f"{'agrees' if fits else 'IS OFF'}  {what:<28} largest difference {difference:.1e} of the largest value")
    return fits


def encoder(options, network, facts, folder, more):
    own = facts["image_size"]
    patch = facts["patch_size"]
    sizes = [own]
    if options.dynamic:
        # Sides whose 256 / 224 is whole, so that the middle that semaim shows needs no resizing.
        step = patch * 7
        sizes = sorted({tuple(max(step, round(side * factor / step) * step) for side in own) for factor in (0.75, 1, 1.5)})
    fits = True
    for number, size in enumerate(sizes):
        if any(side % 7 for side in size):
            raise SystemExit(f"--image-size: {size} has sides that are no multiples of 7, so the middle would be resized")
        images = folder / f"images-{number}"
        pixels = draw_images(images, [side * 8 // 7 for side in size], size, facts["channels"])
        found = network(pixels)
        image_size = ["--image-size", f"{size[0]}x{size[1]}"]

        def embedded(*what):
            vectors = folder / "vectors.safetensors"
            run(options.semaim, "embed", "--weights", options.weights, "--data", images, "--out", vectors, *image_size,
                *more, *what)  # fmt: skip
            return load_file(vectors)["features"]

        name = f"{size[0]}x{size[1]}"
        fits &= tell(f"{name} patch tokens", found["tokens"][:, 1:], embedded("--tokens"))
        fits &= tell(f"{name} cls", found["cls"], embedded("--feature", "cls"))
        fits &= tell(f"{name} mean", found["mean"], embedded("--feature", "mean"))
        fits &= tell(f"{name} class token", found["tokens"][:, 0], found["cls"])
    return fits


def classifier(options, network, facts, folder):
    size = facts["image_size"]
    images = folder / "images"
    pixels = draw_images(images, [side * 8 // 7 for side in size], size, facts["channels"])
    logits = network(pixels)["logits"].astype(np.float64)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    names = json.loads(network.about["semaim.classes"])
    said = run(options.semaim, "predict", "--weights", options.weights, "--data", images, "--json", "--top", len(names))
    fits = True
    rows = [json.loads(line) for line in said.splitlines()]
    for row in rows:
        number = int(Path(row["path"]).stem)
        answers = {answer["class"]: answer["probability"] for answer in row["classes"]}
        difference = max(abs(shares[number, names.index(name)] - share) for name, share in answers.items())
        difference /= max(answers.values())
        fits &= difference <= TOLERANCE
        print(f"{'agrees' if difference <= TOLERANCE else 'IS OFF'}  image {number}: probabilities differ by {difference:.1e} of the largest")
    return fits and len(rows) == len(pixels)


def segmenter(options, network, facts, folder):
    size = facts["image_size"]
    images = folder / "images"
    pixels = draw_images(images, size, size, facts["channels"])
    found = network(pixels)["logits"].argmax(1)
    labels = folder / "labels"
    whole = ["--set", "eval.mode=whole", "--set", f"eval.short_side={min(size)}"]
    run(options.semaim, "predict", "--weights", options.weights, "--data", images, "--out", labels, *whole)
    values = network.input["resize"]["values"]
    fits = True
    for number in range(len(pixels)):
        ours = np.array(Image.open(labels / f"{number}.png"))
        other = (np.array(values)[found[number]] != ours).mean()
        fits &= other <= PIXELS
        print(f"{'agrees' if other <= PIXELS else 'IS OFF'}  image {number}: {100 * other:.3f} % of the pixels have another class")
    return fits


def pasted(mask, box, height, width):
    """How probably each pixel of an image belongs to an object, by the mask of its box: linear between the cells' middles."""
    side, (left, top, right, bottom) = len(mask), box
    rows = ((np.arange(height) + 0.5 - top) / (bottom - top)) * side - 0.5
    columns = ((np.arange(width) + 0.5 - left) / (right - left)) * side - 0.5
    framed = np.pad(mask, 2)

    def weights(places):
        # Zeros surround the mask.
        low = np.clip(np.floor(places), -2, side).astype(int)
        return low + 2, np.where((places > -1) & (places < side), places - low, 0.0)

    (y, dy), (x, dx) = weights(rows), weights(columns)
    dy, dx = dy[:, None], dx[None, :]
    corner = lambda down, right: framed[np.minimum(y + down, side + 3)][:, np.minimum(x + right, side + 3)]  # noqa: E731
    return (1 - dy) * ((1 - dx) * corner(0, 0) + dx * corner(0, 1)) + dy * ((1 - dx) * corner(1, 0) + dx * corner(1, 1))


def decoded(segmentation):
    """A mask from COCO's compressed runs, `[height, width]`."""
    from pycocotools import mask as coco

    return coco.decode(segmentation).astype(bool)


def detector(options, network, facts, folder):
    height, width = facts["image_size"]
    images = options.images or folder / "images"
    if not options.images:
        draw_images(images, [height, width], [height, width], facts["channels"])
    said = folder / "detections.jsonl"
    run(options.semaim, "predict", "--weights", options.weights, "--data", images, "--out", said, *options.settings)
    lines = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    answers = {Path(line["path"]).name: line["objects"] for line in lines}
    names = json.loads(network.about["semaim.classes"])
    mean, std = (np.array(network.input[key], dtype=np.float32) for key in ("mean", "std"))
    files = sorted(path for path in images.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp"))
    fits, all_found, all_expected = True, 0, 0
    for path in files:
        pixels = np.asarray(Image.open(path).convert("RGB" if facts["channels"] == 3 else "L"), dtype=np.float32) / 255
        pixels = pixels.reshape(*pixels.shape[:2], facts["channels"])
        if max(pixels.shape[:2]) != height:
            raise SystemExit(f"{path}: the longer side has to be of {height} pixels, so that nothing is resized")
        canvas = np.zeros((1, facts["channels"], height, width), dtype=np.float32)
        rows, columns = pixels.shape[:2]
        canvas[0, :, :rows, :columns] = ((pixels - mean) / std).transpose(2, 0, 1)
        size = np.array([rows, columns], dtype=np.float32)
        boxes, scores, classes, masks = network.session.run(
            ["boxes", "scores", "classes", "masks"], {"images": canvas, "size": size}
        )
        expected = answers[path.name]
        all_found, all_expected = all_found + len(boxes), all_expected + len(expected)
        fits &= len(boxes) == len(expected)
        worst = {"boxes, in pixels": 0.0, "scores": 0.0, "pixels of masks": 0.0}
        for box, score, label, mask in zip(boxes, scores, classes, masks):
            left, top, right, bottom = box
            own = [answer for answer in expected if answer["class"] == names[label]]
            apart = lambda answer: np.abs(np.array(answer["bbox"]) - [left, top, right - left, bottom - top]).max()  # noqa: E731
            if not own:
                fits = False
                continue
            nearest = min(own, key=apart)
            worst["boxes, in pixels"] = max(worst["boxes, in pixels"], apart(nearest))
            worst["scores"] = max(worst["scores"], abs(nearest["score"] - score))
            if "segmentation" in nearest:
                ours = pasted(mask, box, rows, columns) >= network.input["resize"]["mask_threshold"]
                other = (ours != decoded(nearest["segmentation"])).mean()
                worst["pixels of masks"] = max(worst["pixels of masks"], other)
        off = worst["boxes, in pixels"] > 0.01 or worst["scores"] > 1e-4 or worst["pixels of masks"] > PIXELS
        fits &= not off
        told = ", ".join(f"{what} {value:.1e}" for what, value in worst.items())
        print(f"{'IS OFF' if off else 'agrees'}  {path.name}: {len(boxes)} of {len(expected)} objects, at most apart: {told}")
    return fits and all_found > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--semaim", default="target/release/semaim")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--heads")
    parser.add_argument("--activation")
    parser.add_argument("--image-size")
    parser.add_argument("--dynamic", action="store_true")
    parser.add_argument("--set", action="append", default=[], help="a setting of a detector, for both")
    parser.add_argument("--images", type=Path, help="images for a detector, their longer side as long as its canvas")
    options = parser.parse_args()
    options.settings = [part for setting in options.set for part in ("--set", setting)]
    told = {"--heads": options.heads, "--activation": options.activation}
    more = [part for name, value in told.items() if value for part in (name, value)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "model.onnx"
        size = ["--image-size", options.image_size] if options.image_size else []
        dynamic = ["--dynamic-size"] if options.dynamic else []
        run(options.semaim, "export", "--weights", options.weights, "--layout", "onnx", "--to", path, *more, *size, *dynamic,
            *options.settings)  # fmt: skip
        network = Network(path)
        kind = network.about["semaim.kind"]
        sides = network.input["size"]
        facts = {"channels": network.input["channels"]}
        if "height" in sides:
            facts["image_size"] = [sides["height"], sides["width"]]
        else:
            inspected = json.loads(run(options.semaim, "inspect", options.weights, "--json", *more))
            facts["image_size"] = inspected["image_size"]
        if kind == "encoder":
            inspected = json.loads(run(options.semaim, "inspect", options.weights, "--json", *more))
            facts["patch_size"] = inspected["patch_size"]
            fits = encoder(options, network, facts, folder, more)
        else:
            fits = {"classifier": classifier, "detector": detector, "segmenter": segmenter}[kind](options, network, facts, folder)
    sys.exit(0 if fits else 1)


if __name__ == "__main__":
    main()
