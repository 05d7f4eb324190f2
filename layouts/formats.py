"""How numbers, times and long texts are written on every page."""

import math
import time

_NOTHING = 5e-7  # smaller differences are rounding, no figures


def number(value: float | None, digits: int = 3) -> str:
    """Three decimals below 10, fewer above; a dash for what is missing."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 10_000:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:,.1f}" if size < 1000 else f"{value:,.0f}"
    return f"{value:.{digits}f}"


def plain(value: float | None) -> str:
    """A value of the data rather than a metric: whole numbers stand without decimals, others with two at least."""
    if value is None or not math.isfinite(value) or value != int(value):
        return f"{value:.2f}" if value is not None and 10 <= abs(value) < 1000 else number(value)
    return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))


def bound(value: float) -> str:
    """A least or largest value of the data: at most four decimals, none that say nothing."""
    return f"{value:.3g}" if 0 < abs(value) < 0.001 else f"{value:,.4f}".rstrip("0").rstrip(".")


def alike(*values: float) -> list[str]:
    """Values of one column with equally many decimals: none where all are whole, else those of the largest fraction."""
    broken = [abs(value) for value in values if math.isfinite(value) and value != int(value)]
    if not broken or not all(map(math.isfinite, values)):
        return [plain(value) for value in values]
    _, _, decimals = plain(max(broken)).partition(".")
    return [f"{value:,.{len(decimals)}f}" for value in values]


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign, a true minus sign; further digits where the sign would else stand before a zero."""
    size = abs(value)
    if not math.isfinite(value) or size < _NOTHING:
        return number(size, digits)
    if size < 0.5 * 10**-digits:
        digits = math.ceil(-math.log10(size))
    return ("+" if value > 0 else "−") + number(size, digits)


def difference(value: float, low: float, high: float) -> str:
    """A difference with its interval."""
    return f"{signed(value)} ({signed(low)} to {signed(high)})"


def span(low: float, high: float) -> str:
    """An interval as text, empty where there is none."""
    return f"{number(low)} to {number(high)}" if math.isfinite(low) and math.isfinite(high) else ""


def count(value: int) -> str:
    """A whole number with thousands separators."""
    return f"{value:,}"


def plural(value: int, word: str, words: str = "") -> str:
    """`1 row`, `1,200 rows`."""
    return f"{count(value)} {word if value == 1 else words or word + 's'}"


def percent(value: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * value:.1f}%" if math.isfinite(value) else "–"


def age(seconds: float) -> str:
    """How long ago, in one unit."""
    for size, unit in ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{plural(int(seconds // size), unit)} ago"
    return "just now"


def since(moment: float | None) -> str:
    """How long ago a Unix time was."""
    return "never" if moment is None else age(max(0.0, time.time() - moment))


def day(moment: float) -> str:
    """A Unix time as a UTC date and time."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def title(metric: str) -> str:
    """A metric's name as people write it."""
    known = {
        "micro_f1": "Micro F1",
        "samples_f1": "Samples F1",
        "macro_f1": "Macro F1",
        "f1": "F1",
        "rmse": "RMSE",
        "mae": "MAE",
        "r2": "R²",
        "map": "mAP",
        "ap50": "AP at 0.50",
        "ap75": "AP at 0.75",
        "ar1": "AR at 1",
        "ar10": "AR at 10",
        "ar100": "AR at 100",
    }
    return known.get(metric, metric.replace("_", " ").replace("f1", "F1").capitalize().replace("f1", "F1"))


def slice_name(name: str) -> str:
    """A slice's name as people write it."""
    return name.replace("_", " ")


def short(text: str, length: int = 60) -> str:
    """The text cut to a length, with an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def sentence(text: str) -> str:
    """A reason as a sentence of its own: a capital letter first, a full stop last."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
