"""A model's answer that is a picture: where it can be fetched, and the picture that it was made from."""

import io
from dataclasses import dataclass

from dashboard.inference.images import open_image
from dashboard.inference.outputs import Prediction
from dashboard.pictures import Kept, keep
from dashboard.services import Services

_SAME_SHAPE = 0.03


@dataclass(frozen=True)
class Picture:
    """The answer's picture; `before` is the picture given, at the same size, where both have the same shape."""

    after: Kept
    before: Kept | None = None


def answered_picture(services: Services, prediction: Prediction, given: object) -> Picture | None:
    """The picture of an answer, None where it is none; `given` is the input."""
    if prediction.image is None:
        return None
    after = keep(services.settings, prediction.image)
    return Picture(after, _before(services, given, after) if isinstance(given, bytes) else None)


def _before(services: Services, given: bytes, after: Kept) -> Kept | None:
    """The given picture, upright and as large as the answer, to be laid over it."""
    image = open_image(given)
    if abs(image.width * after.height / (image.height * after.width) - 1) > _SAME_SHAPE:
        return None
    target = io.BytesIO()
    image.resize((after.width, after.height)).save(target, "PNG", compress_level=1)
    return keep(services.settings, target.getvalue())
