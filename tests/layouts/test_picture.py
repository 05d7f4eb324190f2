"""Pictures: what is laid over what, and that frozen trees keep them."""

import json

from dashboard.pictures import Kept
from dashboard.reports.picture import Picture
from layouts import picture
from layouts.frozen import freeze

AFTER = Kept("/pictures/a.png", 640, 400)


def text(tree):
    return json.dumps(tree.to_plotly_json(), default=lambda part: part.to_plotly_json())


def test_a_picture_can_be_downloaded_and_says_its_size():
    shown = text(picture.render(Picture(AFTER), "styles version 2"))
    assert "640 x 400 pixels" in shown and "before-after" not in shown
    assert '"download": "styles version 2.png"' in shown


def test_before_and_after_share_a_place_and_survive_freezing():
    tree = picture.render(Picture(AFTER, Kept("/pictures/b.png", 640, 400)), "m")
    shown = json.dumps(freeze(tree).to_plotly_json(), default=lambda part: part.to_plotly_json())
    assert "before-after" in shown and "/pictures/a.png" in shown and "/pictures/b.png" in shown


def test_small_pictures_are_enlarged_without_smoothing():
    assert "small-picture" in text(picture.render(Picture(Kept("/pictures/a.png", 8, 8)), "m"))
