"""How a picture is shown: large, to be downloaded, and laid over the picture that it was made from."""

from typing import Any

from dash import html

from dashboard.reports.picture import Picture

_SMALL = 100  # pixels a side below which a picture is enlarged without smoothing


def render(found: Picture, name: str) -> html.Div:
    """The picture with its size and download; before and after share one place and a slider (assets/picture.js)."""
    after = found.after
    size = f"{after.width} x {after.height} pixels"
    css = "small-picture" if max(after.width, after.height) < _SMALL else ""
    image = html.Img(src=after.link, alt=f"The answer of {name}", className=css)
    link = html.A("Download PNG", href=after.link, download=f"{name}.png", className="btn-quiet")
    foot = html.Div([html.Span(size, className="card-note"), link], className="toolbar picture-foot chrome")
    return html.Div([before_after(found, image) if found.before else image, foot], className="picture")


def before_after(found: Picture, after: html.Img) -> html.Div:
    """Both pictures in one place; a slider, which the browser adds, moves the border between them."""
    before = html.Img(src=found.before.link, alt="The picture given", className="before") if found.before else None
    labels: list[Any] = [html.Span("before", className="pill"), html.Span("after", className="pill")]
    return html.Div([after, before, html.Div(labels, className="before-after-labels")], className="before-after")
