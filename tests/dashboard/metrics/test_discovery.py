"""Slice discovery: the planted slice is found, pruning loses nothing, chance finds nothing."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, ttest_ind

from dashboard.metrics.codes import Codes, build_codes
from dashboard.metrics.discovery import (
    Question,
    adjusted,
    classification_errors,
    discover,
    squared_errors,
)
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.tables import Tables, source
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of

FEATURES = ("a", "b", "c", "x")


def planted(tables: Tables, n: int = 4000, seed: int = 0, extra: float = 0.5) -> tuple[pd.DataFrame, Evaluation]:
    """Errors of 10%, and `extra` more where a = 'u' and b = 'v'."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "label": rng.choice(["p", "q"], n),
            "a": rng.choice(["u", "w", "t"], n),
            "b": rng.choice(["v", "w", None], n),
            "c": rng.integers(0, 5, n),
            "x": rng.normal(size=n).round(3),
        }
    )
    wrong = rng.random(n) < 0.1 + extra * ((frame.a == "u") & (frame.b == "v"))
    frame["prediction"] = np.where(wrong, np.where(frame.label == "p", "q", "p"), frame.label)
    return frame, evaluation_of(tables.folder, frame, features=FEATURES)


def test_the_planted_slice_comes_first_and_its_filter_selects_it(tables: Tables) -> None:
    frame, evaluation = planted(tables)
    codes = build_codes(tables, evaluation)
    found, tested = discover(codes, classification_errors(codes), Question())
    inside = (frame.a == "u") & (frame.b == "v")
    best = found[0]
    assert (best.filter, best.n) == ("a = 'u' AND b = 'v'", inside.sum())
    wrong = frame.label != frame.prediction
    assert (best.value, best.complement) == pytest.approx((wrong[inside].mean(), wrong[~inside].mean()))
    assert best.p_adjusted < 1e-10
    assert tested > 50
    types = tables.columns(evaluation.table)
    for one in found:
        where = parse_filter(one.filter, types).sql
        assert tables.first(f"SELECT count(*) AS n FROM {source(evaluation.table)} WHERE {where}")["n"] == one.n


def brute_force(codes: Codes, errors: np.ndarray, question: Question) -> list[float]:
    """The best scores over every conjunction up to the question's depth, without any pruning."""
    arrays = {column.name: np.asarray(codes.codes(column.name)) for column in codes.columns}
    scores = []
    for depth in range(1, question.depth + 1):
        for chosen in combinations(codes.columns, depth):
            for values in product(*(range(len(column.values)) for column in chosen)):
                rows = np.logical_and.reduce([arrays[c.name] == v for c, v in zip(chosen, values, strict=True)])
                n, error = rows.sum(), errors[rows].sum()
                if n >= question.smallest and error > 0:
                    gain = question.alpha * (error / n / errors.mean() - 1)
                    scores.append(gain - (1 - question.alpha) * (len(errors) / n - 1))
    return sorted((score for score in scores if score > 0), reverse=True)


@pytest.mark.parametrize(("depth", "seed"), [(2, 1), (3, 2), (3, 3)])
def test_pruning_loses_none_of_the_best(tables: Tables, depth: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, evaluation = planted(tables, 1500, seed, extra=0.3)
    codes = build_codes(tables, evaluation)
    errors = classification_errors(codes)
    question = Question(depth=depth, significance=1.0, alpha=0.99)
    # without merging, the list is the plain top k
    monkeypatch.setattr("dashboard.metrics.discovery.overlap", lambda one, other: 0.0)
    found, _ = discover(codes, errors, question)
    want = brute_force(codes, errors, question)
    assert len(want) > 15
    assert [one.score for one in found] == pytest.approx(want[:15])


def test_errors_by_chance_are_not_reported(tables: Tables) -> None:
    reported = 0
    for seed in range(10):
        _, evaluation = planted(tables, 1000, 100 + seed, extra=0.0)
        codes = build_codes(tables, evaluation)
        reported += bool(discover(codes, classification_errors(codes), Question())[0])
    assert reported <= 2


def test_p_values_are_welchs_and_adjusted_as_scipy_does(tables: Tables) -> None:
    frame, evaluation = planted(tables)
    codes = build_codes(tables, evaluation)
    errors = classification_errors(codes)
    found, tested = discover(codes, errors, Question(depth=1, significance=1.0))
    one = next(f for f in found if f.filter == "a = 'u'")
    inside = (frame.a == "u").to_numpy()
    want = ttest_ind(errors[inside], errors[~inside], equal_var=False, alternative="greater").pvalue
    assert want <= one.p_adjusted <= want * tested * 1.1
    p = np.random.default_rng(0).random(50) ** 2
    np.testing.assert_allclose(adjusted(p), false_discovery_control(p), atol=1e-12)
    assert adjusted(np.zeros(0)).size == 0


def test_slices_with_the_same_rows_are_merged(tables: Tables) -> None:
    frame, _ = planted(tables)
    twin = frame.assign(c=frame.a.map({"u": 1, "w": 2, "t": 3}))
    codes = build_codes(tables, evaluation_of(tables.folder, twin, features=FEATURES))
    found, _ = discover(codes, classification_errors(codes), Question())
    assert (
        sum(
            {"a", "b"} == {name for name, _ in one.codes} or {"b", "c"} == {name for name, _ in one.codes}
            for one in found
        )
        <= 1
    )
    assert any("c = 1" in text for text in found[0].also)


def test_a_difference_of_two_models(tables: Tables) -> None:
    """The candidate is worse in one slice only, though both are equally bad elsewhere."""
    frame, evaluation = planted(tables, extra=0.0)
    codes = build_codes(tables, evaluation)
    baseline = classification_errors(codes)
    worse = ((frame.a == "t") & (np.random.default_rng(4).random(len(frame)) < 0.4)).to_numpy()
    mended = np.random.default_rng(5).random(len(frame)) < 0.9
    candidate = np.where(worse, 1.0, np.where(mended & (frame.a != "t"), 0.0, baseline))
    assert candidate.mean() < baseline.mean() + 0.1
    found, _ = discover(codes, candidate - baseline, Question())
    assert found[0].filter == "a = 't'"


def test_regression_and_masks(tables: Tables) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"label": rng.normal(size=2000), "a": rng.choice(["u", "w"], 2000), "b": rng.choice(["v", "w"], 2000)}
    )
    frame["prediction"] = frame.label + rng.normal(size=2000) * np.where(frame.a == "u", 3, 1)
    evaluation = evaluation_of(tables.folder, frame, "regression", features=("a", "b"))
    codes = build_codes(tables, evaluation)
    found, _ = discover(codes, squared_errors(codes), Question())
    assert "a = 'u'" in found[0].filter
    assert found[0].value == pytest.approx(9, rel=0.15)
    mask = (frame.a == "w").to_numpy()
    assert not [one for one in discover(codes, squared_errors(codes), Question(), mask)[0] if "a = 'u'" in one.filter]


def test_nothing_to_find(tables: Tables) -> None:
    data = {"label": ["a"] * 5, "prediction": ["a"] * 5, "k": ["x"] * 5}
    codes = build_codes(tables, evaluation_of(tables.folder, data, features=("k",)))
    assert discover(codes, classification_errors(codes), Question()) == ([], 0)


def test_it_can_be_cancelled(tables: Tables) -> None:
    _, evaluation = planted(tables)
    codes = build_codes(tables, evaluation)

    def cancel(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        discover(codes, classification_errors(codes), Question(), progress=cancel)
