"""Views for training from a folder of photographs on one core, as torchvision makes them.

* ``pillow``: decoded and resized by Pillow, as in the usual training scripts.
* ``torchvision``: decoded by torchvision's own JPEG decoder to 8-bit tensors and resized by its vectorized kernels.

Both: a random resized crop of 20 % to 100 % of the area with bicubic interpolation, a mirror image half of the time,
normalization. One pass warms the system's cache, the next is measured. Prints one line of JSON.
"""

import argparse
import json
import pathlib
import time

import torch
from PIL import Image
from torchvision import io
from torchvision.transforms import InterpolationMode, v2

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--images", type=int, default=2000, help="views that are measured")
    parser.add_argument("--way", choices=["pillow", "torchvision"], default="torchvision")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    paths = sorted(str(path) for path in args.data.rglob("*") if path.suffix.lower() in ENDINGS)
    crop = v2.RandomResizedCrop(
        args.image_size, scale=(0.2, 1.0), interpolation=InterpolationMode.BICUBIC, antialias=True
    )
    finish = [v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, DEVIATION)]
    if args.way == "pillow":
        views = v2.Compose([crop, v2.ToImage(), *finish])
        load = lambda path: views(Image.open(path).convert("RGB"))
    else:
        views = v2.Compose([crop, *finish])
        load = lambda path: views(io.decode_image(path, mode=io.ImageReadMode.RGB))
    for path in paths:
        with open(path, "rb") as file:
            file.read()
    load(paths[0])
    out = torch.empty(64, 3, args.image_size, args.image_size)
    start = time.perf_counter()
    for i in range(args.images):
        out[i % 64] = load(paths[i % len(paths)])
    seconds = time.perf_counter() - start
    print(json.dumps({"way": args.way, "images": args.images, "images_per_second": args.images / seconds}))


main()
