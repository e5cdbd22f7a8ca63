"""Shows photographs to an exported encoder as transformers does, and compares its vectors with those of `semaim embed`.

    python interop/compare_images.py --semaim target/release/semaim --weights RUN_OR_CHECKPOINT --images FOLDER [--heads N]

What `compare_tokens.py` leaves out: transformers decodes, resizes, crops and normalises the images itself, as the exported
preprocessor_config.json says. Needs Python with torch, transformers, safetensors, numpy and pillow. Nothing in the build or the
tests needs it. Prints the mean and the least cosine of the mean patch tokens, the image of the least, and ends with 1 if it is
below 0.999.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel


def run(*arguments):
    subprocess.run([str(a) for a in arguments], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--semaim", default="target/release/semaim")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--heads")
    options = parser.parse_args()
    more = ["--heads", options.heads] if options.heads else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exported, vectors = folder / "exported", folder / "vectors.npy"
        run(options.semaim, "export", "--weights", options.weights, "--layout", "huggingface", "--to", exported, *more)
        run(options.semaim, "embed", "--weights", options.weights, "--data", options.images, "--feature", "mean",
            "--out", vectors, *more)  # fmt: skip
        ours = np.load(vectors)
        with open(vectors.with_suffix(".csv"), newline="", encoding="utf-8") as file:
            paths = [row["path"] for row in csv.DictReader(file)]
        processor = AutoImageProcessor.from_pretrained(exported)
        model = AutoModel.from_pretrained(exported, dtype=torch.float32).eval()
        skip = 1 + getattr(model.config, "num_register_tokens", 0)
        cosines = []
        with torch.inference_mode():
            for path, vector in zip(paths, ours, strict=True):
                place = Path(path) if Path(path).is_file() else options.images / path
                inputs = processor(Image.open(place).convert("RGB"), return_tensors="pt")
                theirs = model(**inputs).last_hidden_state[0, skip:].mean(0).numpy()
                cosines.append(float(vector @ theirs / np.linalg.norm(vector) / np.linalg.norm(theirs)))
    least = int(np.argmin(cosines))
    print(f"{len(cosines)} images: cosine {np.mean(cosines):.6f} on average, least {cosines[least]:.6f} ({paths[least]})")
    sys.exit(1 if not cosines[least] > 0.999 else 0)


if __name__ == "__main__":
    main()
