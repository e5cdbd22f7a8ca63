"""Loads what `semaim export` writes into timm and transformers and compares tokens with `semaim embed --tokens`.

    python interop/compare_tokens.py --semaim target/release/semaim --weights RUN_OR_CHECKPOINT [--heads N] [--image-size S]

Needs Python with torch, timm, transformers, safetensors, numpy and pillow. Nothing in the build or the tests needs it. Images
are drawn so large that their middle, which encoders are shown, needs no resizing; what is compared is every patch token after
the final norm. Prints one line per library and number type and ends with 1 if a line is off.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

# The largest difference that counts as equal, as a share of the largest token value.
TOLERANCE = {"f32": 2e-5, "f16": 2e-5, "bf16": 2e-5}


def run(*arguments):
    return subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True).stdout


def draw_images(folder, size, count=4):
    """Images of 256 / 224 of a size, as files, and their middles of that size."""
    if any(side % 7 for side in size):
        raise SystemExit(f"--image-size: {size} has no sides that are multiples of 7, so the middle would be resized")
    shown, size = size, [side * 8 // 7 for side in size]
    rng = np.random.default_rng(0)
    images = []
    (folder / "images").mkdir()
    for i in range(count):
        y, x = np.mgrid[0 : size[0], 0 : size[1]] / max(size)
        waves = [np.sin(rng.uniform(2, 30) * x + rng.uniform(2, 30) * y + rng.uniform(0, 6)) for _ in range(3)]
        pixels = (np.stack(waves, -1) * 110 + 128 + rng.normal(0, 8, (*size, 3))).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        top, left = ((whole - part) // 2 for whole, part in zip(size, shown))
        images.append(pixels[top : top + shown[0], left : left + shown[1]])
    return np.stack(images).astype(np.float32) / 255


def timm_model(facts, state):
    import timm

    swiglu = facts["activation"] == "SwiGLU"
    options = dict(
        img_size=facts["image_size"], patch_size=facts["patch_size"], embed_dim=facts["embed_dim"], depth=facts["depth"],
        num_heads=facts["num_heads"], mlp_ratio=facts["mlp_dim"] * (2 if swiglu else 1) / facts["embed_dim"],
        init_values=1.0 if facts["layer_scale"] else None, reg_tokens=facts["registers"],
        no_embed_class=facts["registers"] > 0, pre_norm=facts["norm_before_blocks"],
        num_classes=facts["projection"] or 0, global_pool="token",
        norm_layer=partial(torch.nn.LayerNorm, eps=facts["layer_norm_epsilon"]),
    )
    if swiglu:
        options.update(mlp_layer=timm.layers.SwiGLUPacked, act_layer=torch.nn.SiLU)
    if facts["activation"] == "QuickGELU":
        options.update(act_layer=timm.layers.get_act_layer("quick_gelu"))
    model = timm.models.vision_transformer.VisionTransformer(**options).eval()
    model.load_state_dict(state)

    def tokens(images):
        found = model.forward_features(images)
        return model.head(found) if facts["projection"] else found

    return tokens


def huggingface_model(folder, facts):
    from transformers import AutoConfig
    import transformers

    config = AutoConfig.from_pretrained(folder)
    # Numbers are narrow in the file, the arithmetic is as ours: single precision.
    model, report = getattr(transformers, config.architectures[0]).from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    # ViTModel has a layer for classes that nothing here needs.
    missing = [name for name in report["missing_keys"] if not name.startswith("pooler")]
    if missing or report["unexpected_keys"]:
        raise SystemExit(f"{config.architectures[0]}: missing {missing}, unexpected {report['unexpected_keys']}")
    model.eval()

    def tokens(images):
        found = model(images)
        found = found.last_hidden_state
        if config.model_type == "clip_vision_model":
            tower = getattr(model, "vision_model", model)
            found = tower.post_layernorm(found)
            if hasattr(model, "visual_projection"):
                found = model.visual_projection(found)
        return found

    return config.architectures[0], tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--semaim", default="target/release/semaim")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--heads")
    parser.add_argument("--image-size")
    options = parser.parse_args()
    more = ["--heads", options.heads] if options.heads else []
    off = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = folder / "ours.safetensors"
        size = ["--image-size", options.image_size] if options.image_size else []
        run(options.semaim, "export", "--weights", options.weights, "--layout", "semaim", "--to", ours, *more, *size)
        facts = json.loads(run(options.semaim, "inspect", ours, "--json"))
        pixels = draw_images(folder, facts["image_size"])
        mean, std = (np.array(facts[key], dtype=np.float32) for key in ("mean", "std"))
        images = torch.from_numpy(((pixels - mean) / std).transpose(0, 3, 1, 2).copy())
        for dtype in ("f32", "f16", "bf16"):
            encoder = folder / f"{dtype}.safetensors"
            run(options.semaim, "export", "--weights", ours, "--layout", "semaim", "--dtype", dtype, "--to", encoder)
            vectors = folder / f"{dtype}-tokens.safetensors"
            run(options.semaim, "embed", "--weights", encoder, "--data", folder / "images", "--tokens", "--out", vectors)
            expected = load_file(vectors)["features"]
            for library in ("timm", "huggingface"):
                target = folder / f"{library}-{dtype}"
                run(options.semaim, "export", "--weights", ours, "--layout", library, "--dtype", dtype, "--to", target)
                if library == "timm":
                    state = {k: v.float() for k, v in load_file(target / "model.safetensors").items()}
                    what, tokens = "timm", timm_model(facts, state)
                else:
                    what, tokens = huggingface_model(target, facts)
                with torch.inference_mode():
                    found = tokens(images)[:, 1 + facts["registers"] :]
                difference = ((found - expected).abs().max() / expected.abs().max()).item()
                verdict = "agrees" if difference <= TOLERANCE[dtype] else "IS OFF"
                off |= difference > TOLERANCE[dtype]
                print(f"{verdict}  {what:<28} {dtype:<4} largest difference {difference:.1e} of the largest token value")
    sys.exit(1 if off else 0)


if __name__ == "__main__":
    main()
