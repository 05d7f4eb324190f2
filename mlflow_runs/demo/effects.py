"""Nine classical picture effects, computed exactly: what the demo's style networks learn to paint."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Effect = Callable[[Tensor], Tensor]
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def brightness(x: Tensor) -> Tensor:
    """The weighted mean of red, green and blue: (n, 3, height, width) to (n, 1, height, width)."""
    return (x * _colour(LUMA)).sum(1, keepdim=True)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Every channel convolved with a Gaussian of standard deviation `sigma` pixels, reflected at the borders."""
    reach, channels = max(1, int(3 * sigma)), x.shape[1]
    offsets = torch.arange(-reach, reach + 1.0)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    padded = functional.pad(x, (reach,) * 4, mode="reflect")
    across = functional.conv2d(padded, kernel, groups=channels)
    return functional.conv2d(across, kernel.transpose(2, 3), groups=channels)


def slope(x: Tensor) -> tuple[Tensor, Tensor]:
    """The change per pixel to the right and downwards, by Sobel's operator (halved: 4 instead of 8)."""
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    padded = functional.pad(x, (1,) * 4, mode="reflect")
    return functional.conv2d(padded, kernel[None, None]), functional.conv2d(padded, kernel.T[None, None])


def pencil(x: Tensor) -> Tensor:
    """Colour dodge of the picture with its blurred negative: what is evenly lit turns white."""
    grey = brightness(x)
    softened = 1 - blur(1 - grey, 2.5)
    return (grey / (softened + 1e-3)).clamp(0, 1).pow(1.6).expand(-1, 3, -1, -1)


def ink(x: Tensor) -> Tensor:
    """Difference of Gaussians with a soft threshold (Winnemöller 2011), dark blue on warm paper."""
    grey = brightness(x)
    paper = torch.sigmoid(160 * (blur(grey, 0.8) - 0.98 * blur(grey, 1.8)))
    return _between(paper, (0.10, 0.11, 0.20), (0.98, 0.95, 0.88))


def oil(x: Tensor) -> Tensor:
    """The filter of Kuwahara (1976), four windows of 5 x 5, colours strengthened."""
    calm = kuwahara(x, 4)
    grey = brightness(calm)
    return (grey + 1.45 * (calm - grey)).clamp(0, 1)


def comic(x: Tensor) -> Tensor:
    """The oil painting with black outlines."""
    return oil(x) * (1 - torch.sigmoid(40 * (_steepness(blur(brightness(x), 1.0)) - 0.13)))


def neon(x: Tensor) -> Tensor:
    """Edges that glow in the colour around them, on black."""
    around = blur(x, 2.0)
    around = around / (around.amax(1, keepdim=True) + 0.05)
    return (3.2 * _steepness(blur(brightness(x), 0.8)) * around + 0.06 * around).clamp(0, 1)


def relief(x: Tensor) -> Tensor:
    """Lit from the upper left, cast in warm grey."""
    right, down = slope(blur(brightness(x), 0.7))
    return ((0.5 + 1.1 * (right + down)) * _colour((1.02, 0.98, 0.90))).clamp(0, 1)


def watercolour(x: Tensor) -> Tensor:
    """Calm pale areas with darker rims where the paint would dry."""
    grey = brightness(x)
    rim = (blur(grey, 0.8) - blur(grey, 3.0)).clamp(-0.2, 0.05)
    return (0.6 * kuwahara(x, 3) + 0.4 + 1.2 * rim).clamp(0, 1)


def cyanotype(x: Tensor) -> Tensor:
    """Brightness alone, from Prussian blue to paper white."""
    grey = (1.25 * (blur(brightness(x), 0.8) - 0.5) + 0.5).clamp(0, 1)
    return _between(grey, (0.04, 0.10, 0.30), (0.98, 0.97, 0.90))


def solarised(x: Tensor) -> Tensor:
    """Bright parts turn dark again as in overexposed film, with red and blue exchanged."""
    soft = blur(x, 0.6)
    return (4 * soft * (1 - soft)).clamp(0, 1).pow(0.9).flip(1)


def kuwahara(x: Tensor, reach: int) -> Tensor:
    """Each pixel becomes the mean of the calmest of four windows that touch it (a soft choice by variance)."""
    edge, (height, width) = reach + 1, x.shape[-2:]
    padded, grey = (functional.pad(part, (reach,) * 4, mode="reflect") for part in (x, brightness(x)))
    means = functional.avg_pool2d(padded, edge, 1)
    spread = functional.avg_pool2d(grey**2, edge, 1) - functional.avg_pool2d(grey, edge, 1) ** 2
    corners = [(down, right) for down in (0, reach) for right in (0, reach)]
    calm = torch.stack([-4000 * spread[..., down : down + height, right : right + width] for down, right in corners])
    windows = torch.stack([means[..., down : down + height, right : right + width] for down, right in corners])
    return (calm.softmax(0) * windows).sum(0).clamp(0, 1)


def _steepness(x: Tensor) -> Tensor:
    right, down = slope(x)
    return torch.sqrt(right**2 + down**2 + 1e-6)


def _between(share: Tensor, dark: tuple[float, ...], light: tuple[float, ...]) -> Tensor:
    return _colour(dark) * (1 - share) + _colour(light) * share


def _colour(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values)[None, :, None, None]
