"""Encoders and classifiers as timm's models."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ._options import Activation, ImageSize, options
from ._program import run

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from timm.models import VisionTransformer


class Loaded(NamedTuple):
    """A model and what images go through before it."""

    #: timm's model, in evaluation mode, on the CPU, in single precision. ``pretrained_cfg`` of it tells how images are shown to
    #: it, and of a classifier the names of the classes (``label_names``).
    model: VisionTransformer
    #: ``PIL.Image.Image`` → ``float32 [channels, height, width]``: what the program shows of an image file.
    transform: Callable[[Image.Image], torch.Tensor]


def load(
    path: str | os.PathLike[str],
    *,
    feature: Literal["mean", "cls"] | None = None,
    image_size: ImageSize | None = None,
    heads: int | None = None,
    activation: Activation | None = None,
    layout: str | None = None,
) -> Loaded:
    """An encoder or a classifier as a timm model, with the transform that shows images to it.

    Of an encoder ``model(images)`` with ``images [batch, channels, height, width]`` gives the vectors ``[batch, embed_dim]`` that
    :func:`semaim.embed` gives of the same files, and ``model.forward_features(images)`` the tokens
    ``[batch, 1 + registers + patches, embed_dim]``: the class token, the registers, then the patches row by row. Of a classifier,
    a run of ``semaim finetune``, ``model(images)`` gives the logits ``[batch, classes]``.

    Args:
        path: A run directory, its ``encoder.safetensors``, an exported file or folder, or a checkpoint in any other layout that
            ``semaim inspect`` knows.
        feature: What ``model(images)`` is: the mean of the patch tokens (of an encoder, if nothing is said) or the class
            token. Said of a classifier, its encoder alone is loaded.
        image_size: Size in pixels of the images, a side or ``(height, width)``; the encoder's if not given. The position
            table is resized.
        heads, activation, layout: What the checkpoint does not say of itself, as the program's options of these names.

    Returns:
        The model and the transform; the two can be unpacked.

    Raises:
        ImportError: timm is not installed (``pip install timm``).
        UsageError: Weights that are none, or do not say how they are to be read.
        Error: The program failed.
    """
    if feature not in ("mean", "cls", None):
        raise ValueError(f"feature is 'mean' or 'cls', not {feature!r}")
    try:
        import timm
    except ImportError as error:
        raise ImportError("semaim.load needs timm: pip install timm") from error
    told = options(image_size, heads, activation, layout, "--from-layout")
    with tempfile.TemporaryDirectory(prefix="semaim-") as folder:
        export = ["export", "--weights", path, "--layout", "timm", "--to", folder, *told]
        run(export)
        config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
        is_classifier = "label_names" in config
        if is_classifier and feature:
            run([*export, "--without-head"])
        # A classifier pools as it was trained.
        pools = feature or not is_classifier
        pool = {"global_pool": "token" if feature == "cls" else "avg"} if pools else {}
        model = timm.create_model(f"local-dir:{folder}", pretrained=True, **pool)
    # timm has no argument for it.
    if (epsilon := config.get("layer_norm_eps")) is not None:
        for module in model.modules():
            if hasattr(module, "normalized_shape"):
                module.eps = epsilon
    return Loaded(model.eval(), _transform(model))


def _transform(model: Any) -> Callable[[Image.Image], torch.Tensor]:
    from timm.data import create_transform, resolve_model_data_config
    from torchvision import transforms

    channels = model.pretrained_cfg["input_size"][0]
    decoded = partial(_as_decoded, channels=channels)
    shown = create_transform(**resolve_model_data_config(model))
    if channels == 4:
        shown = partial(_band_by_band, shown=shown)
    composed: Callable[[Image.Image], torch.Tensor] = transforms.Compose([decoded, shown])
    return composed


def _band_by_band(image: Image.Image, shown: Any) -> torch.Tensor:
    """Four channels as the program shows them, each by itself: Pillow would resize colors by their alpha."""
    import torch

    *steps, normalize = shown.transforms
    bands: list[Any] = list(image.split())
    for step in steps:
        bands = [step(band) for band in bands]
    normalized: torch.Tensor = normalize(torch.cat(bands))
    return normalized


def _as_decoded(image: Image.Image, channels: int) -> Image.Image:
    """An image as the program decodes its file: turned as its EXIF data say, in the colors of the encoder."""
    from PIL import ImageOps

    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(channels)
    if mode is None:
        raise ValueError(f"the encoder takes images of {channels} channels, which Pillow does not have")
    # Pillow cuts off what is above 8 bits; the program keeps it.
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"Pillow's mode {image.mode} has more than 8 bits: scale the image to 8 bits first")
    return ImageOps.exif_transpose(image).convert(mode)
