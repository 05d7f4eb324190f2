"""From the bytes of an uploaded picture to the numbers a model expects, by the Hugging Face preprocessor names."""

import io
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from dashboard.errors import BadInput

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
PIXEL_LIMIT = 50_000_000
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, Warning)


def open_image(data: bytes, name: str = "The image") -> Image.Image:
    """The first frame, upright, 8 bits per channel, as L or RGB; raises BadInput with what would be accepted."""
    accepted = (
        f"a complete {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file of at most {PIXEL_LIMIT // 10**6} megapixels"
    )
    if not data:
        raise BadInput(f"{name} is empty (0 bytes); {accepted} is needed.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
            if width * height > PIXEL_LIMIT:
                raise BadInput(f"{name} has {width} x {height} pixels; {accepted} is needed.")
            ImageOps.exif_transpose(image, in_place=True)  # because a photograph's copy has 36 MB
            return _eight_bits(image)
    except Image.DecompressionBombError as exc:  # what Pillow itself refuses, before it tells width and height
        pixels = max(map(int, re.findall(r"\d+", str(exc))), default=0)
        raise BadInput(f"{name} has {pixels // 10**6} megapixels; {accepted} is needed.") from exc
    except _BROKEN as exc:
        start = data[:8].hex(" ")
        raise BadInput(
            f"{name} ({len(data)} bytes, beginning {start}) cannot be read as a picture; {accepted} is needed."
        ) from exc


def upright_size(data: bytes) -> tuple[int, int]:
    """Width and height of a picture that `open_image` accepts, as it is shown: turned upright."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        return (height, width) if image.getexif().get(ExifTags.Base.Orientation, 1) >= 5 else (width, height)


def channels_last(shape: tuple[int, ...]) -> bool:
    """Whether a batch of pictures of this shape holds its colours last."""
    return _layout(shape)[1] or len(shape) == 3


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        values = np.asarray(image)  # in its own type, because 50 megapixels are 400 MB in float64
        deep = values.max(initial=0) > 255
        scaled = values.clip(0, 65535) // values.dtype.type(257) if deep else values.clip(0, 255)
        return Image.fromarray(scaled.astype(np.uint8))
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")  # because transparent pixels carry arbitrary colours
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def image_tensor(image: Image.Image, shape: tuple[int, ...], dtype: str, options: Mapping[str, Any]) -> NDArray[Any]:
    """One picture as a batch of one, in the layout of `shape` (NCHW, NHWC, NHW or flat; -1 is free).

    Rescaling, mean and deviation follow Hugging Face: x * rescale_factor (default 1/255), then (x - mean) / std.
    """
    channels, last = _layout(shape)
    height, width = _size(shape, options, last, image)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    colours = image if image.mode == mode else image.convert(mode)
    if colours.size != (width, height):
        colours = colours.resize((width, height), Image.Resampling(int(options.get("resample", 2))))
    pixels = np.asarray(colours, dtype=np.float32).reshape(height, width, channels)
    if options.get("do_rescale", np.dtype(dtype).kind == "f" and bool(options)):
        pixels = pixels * np.float32(options.get("rescale_factor", 1 / 255))
    if "image_mean" in options and options.get("do_normalize", True):
        pixels = (pixels - _per_channel(options, "image_mean")) / _per_channel(options, "image_std", 1.0)
    batch = (pixels if last else pixels.transpose(2, 0, 1))[np.newaxis].astype(dtype)
    return _fit(batch, shape)


def _layout(shape: tuple[int, ...]) -> tuple[int, bool]:
    """Number of channels and whether they come last; four only where one or three fit neither place."""
    if len(shape) != 4:
        return 1, False
    for counts in ((1, 3), (4,)):
        if shape[1] in counts:
            return shape[1], False
        if shape[3] in counts:
            return shape[3], True
    return 3, False


def _size(shape: tuple[int, ...], options: Mapping[str, Any], last: bool, image: Image.Image) -> tuple[int, int]:
    fixed = shape[1:3] if last or len(shape) == 3 else shape[2:4] if len(shape) == 4 else ()
    if len(fixed) == 2 and min(fixed) > 0:
        return fixed[0], fixed[1]
    size = options.get("size")
    if isinstance(size, Mapping) and "height" in size and "width" in size:
        return int(size["height"]), int(size["width"])
    if isinstance(size, Mapping) and "shortest_edge" in size:
        scale = int(size["shortest_edge"]) / min(image.size)
        return max(1, round(image.height * scale)), max(1, round(image.width * scale))
    if isinstance(size, (list, tuple)) and len(size) == 2:
        return int(size[0]), int(size[1])
    return (int(size), int(size)) if isinstance(size, int) else (image.height, image.width)


def _per_channel(options: Mapping[str, Any], key: str, default: float = 0.0) -> NDArray[np.float32]:
    return np.asarray(options.get(key, default), dtype=np.float32)


def _fit(batch: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if not shape or len(shape) == batch.ndim:
        return batch
    rest = [n for n in shape[1:] if n > 0]
    wanted = int(np.prod(rest)) if len(rest) == len(shape) - 1 else -1
    if wanted not in (-1, batch.size):
        raise BadInput(f"The picture becomes {batch.size} numbers, but the model takes {wanted} (shape {list(shape)}).")
    return batch.reshape((1, *rest)) if wanted != -1 else batch.reshape(1, -1)
