"""The figure template: plain dicts whose text and grid colours come from the style sheet."""

from typing import Any

ACCENT = "#5b6ee1"
WORSE = "#c9541a"
BETTER = "#0f8a86"
NEUTRAL = "#7d8794"
_CLEAR = "rgba(0,0,0,0)"

_PICTURE = {"format": "png", "scale": 2, "filename": "vitrine"}
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": _PICTURE,
}


def figure(traces: list[dict[str, Any]], height: int = 260, **layout: Any) -> dict[str, Any]:
    """A figure dict with the house's margins, fonts and transparent background."""
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 8, "b": 40},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "font": {"size": 12, "color": NEUTRAL},
        "showlegend": False,
        "bargap": 0.06,
        "hoverlabel": {"font": {"size": 12}},
        "xaxis": {"zeroline": False, "automargin": True, "gridcolor": "rgba(125,135,148,.2)"},
        "yaxis": {"zeroline": False, "automargin": True, "gridcolor": "rgba(125,135,148,.2)"},
    }
    for key, value in layout.items():
        base[key] = {**base[key], **value} if isinstance(base.get(key), dict) and isinstance(value, dict) else value
    return {"data": traces, "layout": base}
