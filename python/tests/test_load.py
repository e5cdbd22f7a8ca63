"""Encoders as timm's models. Skipped where timm is not installed, unless ``SEMAIM_REQUIRE_TIMM`` is set."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import semaim
from numpy.typing import NDArray

if not os.environ.get("SEMAIM_REQUIRE_TIMM"):
    pytest.importorskip("timm", reason="semaim.load needs timm, which is not installed")
torch = pytest.importorskip("torch")


def vectors(loaded: semaim.Loaded, paths: list[Path]) -> NDArray[np.float32]:
    """What the model makes of image files, through the transform."""
    from PIL import Image

    shown = torch.stack([loaded.transform(Image.open(path)) for path in paths])
    with torch.inference_mode():
        found: NDArray[np.float32] = loaded.model(shown).numpy()
    return found


def pretrain(out: Path, data: str, *settings: str) -> None:
    """A run of a second."""
    small = ["model.image_size=16", "model.patch_size=4", "model.embed_dim=16", "model.depth=2", "model.num_heads=2"]
    short = ["train.epochs=1", "train.batch_size=4", "optimizer.warmup_epochs=0", "eval.pictures=0"]
    command = [semaim.program(), "pretrain", "--data", data, "--out", str(out)]
    told = [part for setting in (*small, *short, *settings) for part in ("--set", setting)]
    subprocess.run(command + told, check=True)


def least_cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.min((a * b).sum(axis=1) / norms))


def test_the_model_gives_the_vectors_of_embed(run: Path, images: list[Path]) -> None:
    for feature in ("mean", "cls"):
        expected = semaim.embed(images, run, feature=feature)
        for path in (run, run / "encoder.safetensors"):
            found = vectors(semaim.load(path, feature=feature), images)
            assert found.shape == expected.shape
            assert least_cosine(found, expected) > 0.999
        # The bound tells images apart.
        assert least_cosine(found, np.roll(expected, 1, axis=0)) < 0.999
    np.testing.assert_array_equal(vectors(semaim.load(run), images), vectors(semaim.load(run, feature="mean"), images))


def test_tokens_are_those_of_the_command(run: Path, images: list[Path], tmp_path: Path) -> None:
    model, transform = semaim.load(run)
    out = tmp_path / "tokens.npy"
    # An image of the size that is cut out of, so that neither side resizes.
    from PIL import Image

    whole = tmp_path / "whole.png"
    Image.open(images[0]).convert("RGB").resize((36, 36)).save(whole)
    listed = tmp_path / "list.txt"
    listed.write_text(f"{whole}\n")
    command = [semaim.program(), "embed", "--weights", run, "--data", listed, "--tokens", "--out", out]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    with torch.inference_mode():
        found = model.forward_features(transform(Image.open(whole))[None]).numpy()
    assert found.shape == (1, 1 + 16, 24)
    expected = np.load(out)
    np.testing.assert_allclose(found[:, 1:], expected, atol=2e-5 * np.abs(expected).max())


def test_exports_load_as_the_run_does(run: Path, images: list[Path], tmp_path: Path) -> None:
    expected = vectors(semaim.load(run), images)
    for layout in ("timm", "huggingface", "semaim"):
        to = tmp_path / layout
        command = [semaim.program(), "export", "--weights", str(run), "--layout", layout, "--to", str(to)]
        subprocess.run(command, check=True, capture_output=True)
        assert least_cosine(vectors(semaim.load(to), images), expected) > 0.9999, layout


def test_another_size_of_images(run: Path, images: list[Path]) -> None:
    found, expected = vectors(semaim.load(run, image_size=48), images), semaim.embed(images, run, image_size=48)
    assert least_cosine(found, expected) > 0.999
    # Of views that are not square timm rounds the longer side where we cut off: half a pixel, of 54 here.
    found, expected = vectors(semaim.load(run, image_size=(48, 40)), images), semaim.embed(images, run, image_size=(48, 40))
    assert least_cosine(found, expected) > 0.99


def test_a_classifier_gives_the_logits_that_predict_has(run: Path, images: list[Path], tmp_path: Path) -> None:
    tuned, answers = tmp_path / "tuned", tmp_path / "answers.jsonl"
    settings = ["train.epochs=1", "train.batch_size=20", "optimizer.warmup_epochs=0", "data.shapes_count=40", "data.shapes_eval_count=20"]
    finetune = [semaim.program(), "finetune", "--weights", str(run), "--data", "shapes", "--out", str(tuned)]
    subprocess.run(finetune + [part for setting in settings for part in ("--set", setting)], check=True)
    folder = images[0].parent
    predict = [semaim.program(), "predict", "--weights", str(tuned), "--data", str(folder), "--top", "10", "--out", str(answers)]
    subprocess.run(predict, check=True)
    model, transform = semaim.load(tuned)
    classes = model.pretrained_cfg["label_names"]
    assert len(classes) == 10
    for line in answers.read_text().splitlines():
        answer = json.loads(line)
        found = vectors(semaim.Loaded(model, transform), [Path(answer["path"])])[0]
        found = np.exp(found - found.max())
        expected = {of["class"]: of["probability"] for of in answer["classes"]}
        np.testing.assert_allclose(found / found.sum(), [expected[name] for name in classes], atol=0.01)
    # Its encoder alone.
    encoder = vectors(semaim.load(tuned, feature="cls"), images)
    assert least_cosine(encoder, semaim.embed(images, tuned, feature="cls")) > 0.999


def test_photographs_are_turned_and_colored_as_the_program_does(
    run: Path, images: list[Path], tmp_path: Path
) -> None:
    from PIL import Image

    image = Image.open(images[1]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    forms = {name: tmp_path / name for name in ("turned.png", "gray.png", "clear.png", "palette.png", "photo.jpg")}
    image.save(forms["turned.png"], exif=exif)
    image.convert("L").save(forms["gray.png"])
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    clear.save(forms["clear.png"])
    image.quantize(16).save(forms["palette.png"])
    image.save(forms["photo.jpg"], quality=95)
    paths = list(forms.values())
    found, expected = vectors(semaim.load(run), paths), semaim.embed(paths, run)
    assert least_cosine(found, expected) > 0.999


def test_an_unusual_epsilon_is_the_models(images: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    pretrain(out, "shapes", "model.channels=3", "arch.epsilon=0.1", "data.shapes_count=20")
    assert least_cosine(vectors(semaim.load(out, feature="cls"), images), semaim.embed(images, out, feature="cls")) > 0.999


def test_four_channels_are_resized_each_by_itself(images: list[Path], tmp_path: Path) -> None:
    from PIL import Image

    folder, out = tmp_path / "four", tmp_path / "run"
    folder.mkdir()
    paths = []
    for number, path in enumerate(images):
        image = Image.open(path).convert("RGB")
        rows = np.arange(image.height)[:, None] // 3 % 2 * 255 + 0 * np.arange(image.width)
        # What is under a transparent pixel is as good as any other number.
        image.putalpha(Image.fromarray(rows.astype(np.uint8)))
        paths.append(folder / f"{number}.png")
        image.save(paths[-1])
    half = "[0.5,0.5,0.5,0.5]"
    pretrain(out, str(folder), "model.channels=4", f"data.mean={half}", f"data.std={half}")
    assert least_cosine(vectors(semaim.load(out), paths), semaim.embed(paths, out)) > 0.999


def test_deep_images_are_refused_not_cut_off(run: Path) -> None:
    from PIL import Image

    transform = semaim.load(run).transform
    with pytest.raises(ValueError, match="I;16"):
        transform(Image.new("I;16", (64, 64)))


def test_what_cannot_be_loaded_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(semaim.UsageError, match="nothing-here"):
        semaim.load(tmp_path / "nothing-here")
    with pytest.raises(ValueError, match="both"):
        semaim.load(run, feature="both")  # type: ignore[arg-type]
    real = builtins.__import__

    def without_timm(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "timm":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_timm)
    with pytest.raises(ImportError, match="pip install timm"):
        semaim.load(run)
