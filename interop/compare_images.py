"""Shows photographs to exported encoders and classifiers as timm and transformers do, and compares with the program.

    python interop/compare_images.py --semaim target/release/semaim --weights RUN_OR_CHECKPOINT --images FOLDER [--heads N]

What `compare_tokens.py` leaves out: each library makes the model from the exported folder alone, and decodes, resizes, crops and
normalizes the images itself, as the files in it say. Of an encoder the mean patch tokens are compared with `semaim embed`, of a
classifier (a run of `semaim finetune`) the probabilities with `semaim predict`. Needs Python with torch, timm, transformers,
numpy and pillow. Nothing in the build or the tests needs it. Prints one line per library and ends with 1 where the least cosine
is below 0.999, or a classifier's probabilities are further apart than 0.05.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
import transformers

# Where the least that agrees ends.
COSINE, PROBABILITY = 0.999, 0.05


def run(*arguments):
    return subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True).stdout


def timm_model(folder):
    """Mean patch tokens or logits, by timm."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)

    def result(image):
        pixels = transform(image)[None]
        if model.num_classes and model.pretrained_cfg.get("label_names"):
            return model(pixels)[0]
        tokens = model.forward_features(pixels)
        # CLIP's projection is the head here.
        tokens = model.head(tokens) if model.num_classes else tokens
        return tokens[0, model.num_prefix_tokens :].mean(0)

    return model.pretrained_cfg.get("label_names"), result


def huggingface_model(folder):
    """Mean patch tokens or logits, by transformers."""
    config = transformers.AutoConfig.from_pretrained(folder)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    model, report = getattr(transformers, config.architectures[0]).from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    missing = [name for name in report["missing_keys"] if not name.startswith("pooler")]
    if missing or report["unexpected_keys"]:
        raise SystemExit(f"{config.architectures[0]}: missing {missing}, unexpected {report['unexpected_keys']}")
    model.eval()
    classifies = config.architectures[0].endswith("ForImageClassification")
    skip = 1 + getattr(config, "num_register_tokens", 0)

    def result(image):
        found = model(**processor(image, return_tensors="pt"))
        return found.logits[0] if classifies else found.last_hidden_state[0, skip:].mean(0)

    names = [config.id2label[i] for i in range(len(config.id2label))] if classifies else None
    return names, result


def ours(options, folder, classes, more):
    """Names of images, and of each its vector, or of a classifier the probabilities of all classes."""
    if classes:
        answers = folder / "answers.jsonl"
        run(options.semaim, "predict", "--weights", options.weights, "--data", options.images, "--top", len(classes),
            "--out", answers)  # fmt: skip
        lines = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
        by_name = [{c["class"]: c["probability"] for c in line["classes"]} for line in lines]
        return [line["path"] for line in lines], np.array([[p[c] for c in classes] for p in by_name])
    vectors = folder / "vectors.npy"
    run(options.semaim, "embed", "--weights", options.weights, "--data", options.images, "--feature", "mean",
        "--out", vectors, *more)  # fmt: skip
    with open(vectors.with_suffix(".csv"), newline="", encoding="utf-8") as file:
        return [row["path"] for row in csv.DictReader(file)], np.load(vectors)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--semaim", default="target/release/semaim")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--heads")
    options = parser.parse_args()
    more = ["--heads", options.heads] if options.heads else []
    off = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for library in ("timm", "huggingface"):
            run(options.semaim, "export", "--weights", options.weights, "--layout", library, "--to", folder / library, *more)
        classes = json.loads((folder / "timm" / "config.json").read_text(encoding="utf-8")).get("label_names")
        paths, expected = ours(options, folder, classes, more)
        for library, load in [("timm", timm_model), ("huggingface", huggingface_model)]:
            names, result = load(folder / library)
            if names != classes:
                raise SystemExit(f"{library}: the classes are {names} instead of {classes}")
            with torch.inference_mode():
                place = [Path(path) if Path(path).is_file() else options.images / path for path in paths]
                found = torch.stack([result(Image.open(path).convert("RGB")) for path in place])
                found = (found.softmax(1) if classes else found).numpy()
            if classes:
                apart = np.abs(found - expected).max(1)
                worst, same = int(apart.argmax()), int((found.argmax(1) == expected.argmax(1)).sum())
                verdict = "agrees" if apart[worst] <= PROBABILITY else "IS OFF"
                print(f"{verdict}  {library:<12} {len(paths)} images: probabilities {apart.mean():.1e} apart on average, "
                      f"{apart[worst]:.1e} at most ({paths[worst]}); the same class for {same}")  # fmt: skip
            else:
                cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
                worst = int(cosines.argmin())
                verdict = "agrees" if cosines[worst] > COSINE else "IS OFF"
                print(f"{verdict}  {library:<12} {len(paths)} images: cosine {cosines.mean():.6f} on average, "
                      f"least {cosines[worst]:.6f} ({paths[worst]})")  # fmt: skip
            off |= verdict != "agrees"
    sys.exit(1 if off else 0)


if __name__ == "__main__":
    main()
