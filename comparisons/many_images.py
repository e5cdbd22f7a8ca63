"""Many small images, in tar shards and as a folder, to see what a million of them cost.

    python comparisons/many_images.py --out DIR [--images 1000000] [--shards 100] [--classes 100]

Writes DIR/shards/{000..099}.tar (WebDataset: `key.jpg`, `key.cls`) and DIR/folder/CLASS/key.jpg. There are a thousand different
pictures (JPEG, 64 × 48 px, about 1 kB); each image is one of them. Needs Pillow.
"""

import argparse
import io
import pathlib
import random
import tarfile

from PIL import Image, ImageDraw


def pictures(count):
    """Different small JPEGs."""
    draw = random.Random(0)
    color = lambda: tuple(draw.randrange(256) for _ in range(3))
    for _ in range(count):
        image = Image.new("RGB", (64, 48), color())
        pen = ImageDraw.Draw(image)
        for _ in range(4):
            x, y = draw.randrange(60), draw.randrange(44)
            pen.ellipse([x, y, x + draw.randrange(4, 30), y + draw.randrange(4, 30)], fill=color())
        file = io.BytesIO()
        image.save(file, "JPEG", quality=75)
        yield file.getvalue()


def member(name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    return entry, io.BytesIO(content)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--classes", type=int, default=100)
    options = parser.parse_args()
    of = list(pictures(1000))
    (options.out / "shards").mkdir(parents=True)
    classes = [options.out / "folder" / f"{number:03}" for number in range(options.classes)]
    for folder in classes:
        folder.mkdir(parents=True)
    each = -(-options.images // options.shards)
    for shard in range(options.shards):
        with tarfile.open(options.out / "shards" / f"{shard:03}.tar", "w") as tar:
            for image in range(shard * each, min((shard + 1) * each, options.images)):
                content, label = of[image % len(of)], image % options.classes
                tar.addfile(*member(f"{image:07}.jpg", content))
                tar.addfile(*member(f"{image:07}.cls", str(label).encode()))
                (classes[label] / f"{image:07}.jpg").write_bytes(content)
        print(f"{shard + 1} of {options.shards} shards", flush=True)


if __name__ == "__main__":
    main()
