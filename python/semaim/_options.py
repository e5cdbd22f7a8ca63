"""What is told of an encoder's file that the file does not say, as options of the program."""

from __future__ import annotations

from typing import Literal, TypeAlias

Activation: TypeAlias = Literal["gelu", "quick-gelu", "swiglu"]

#: A side in pixels, or height and width.
ImageSize: TypeAlias = "int | tuple[int, int]"


def options(
    image_size: ImageSize | None, heads: int | None, activation: Activation | None, layout: str | None, layout_option: str
) -> list[str]:
    """The options that are given."""
    if isinstance(image_size, tuple):
        height, width = image_size
        size: str | int | None = f"{height}x{width}"
    else:
        size = image_size
    given = {"--image-size": size, "--heads": heads, "--activation": activation, layout_option: layout}
    return [text for option, value in given.items() if value is not None for text in (option, str(value))]
