"""Multi-label figures equal scikit-learn's, whatever the sets; their intervals are those of resampled rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.preprocessing import MultiLabelBinarizer

from dashboard.metrics.multilabel import class_figures_of, set_estimates, set_sums
from dashboard.metrics.tables import Tables
from mlflow_runs.class_sets import SETS
from tests.dashboard.metrics.evaluations import evaluation_of

SET = st.lists(st.sampled_from(["a", "b", "ü", "it's", "", "1"]), unique=True, max_size=4).map(sorted)
ROWS = st.lists(st.tuples(st.none() | SET, st.none() | SET, st.booleans(), st.integers(0, 3)), max_size=25)


def table(rows: list) -> pa.Table:
    label, prediction, inside, y = (list(part) for part in zip(*rows, strict=True)) if rows else ([], [], [], [])
    kinds = {"label": SETS, "prediction": SETS, "slice_x": pa.bool_(), "y": pa.int64()}
    columns = zip(kinds.items(), (label, prediction, inside, y), strict=True)
    return pa.table({name: pa.array(values, kind) for (name, kind), values in columns})


def reference(rows: list, classes: int) -> dict[str, float]:
    """scikit-learn's figures of rows that have both sets."""
    binarizer = MultiLabelBinarizer().fit([names for row in rows for names in row[:2]])
    true, guess = (binarizer.transform([row[side] for row in rows]) for side in (0, 1))
    found = {"subset_accuracy": metrics.accuracy_score(true, guess)}
    for how in ("macro", "micro", "weighted", "samples"):
        figures = metrics.precision_recall_fscore_support(true, guess, average=how, zero_division=0)
        found |= dict(zip((f"{how}_precision", f"{how}_recall", f"{how}_f1"), figures[:3], strict=True))
    return found | {"hamming_loss": metrics.hamming_loss(true, guess) * true.shape[1] / classes}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_figures_equal_scikit_learn(tables: Tables, rows: list) -> None:
    evaluation = evaluation_of(tables.folder, table(rows), "multilabel")
    sums = set_sums(tables, evaluation, '"y" > 0', ['"slice_x"', "NOT slice_x"])
    kept = [row for row in rows if row[3] > 0]
    rest = sums.minus()
    for group, chosen in ((0, kept), (1, [r for r in kept if r[2]]), (2, [r for r in kept if not r[2]])):
        used = [row for row in chosen if row[0] is not None and row[1] is not None]
        assert (sums.n[group], sums.unlabelled[group]) == (len(used), len(chosen) - len(used))
        found = set_estimates(sums, group, 10)
        if not any(names for row in used for names in row[:2]):
            assert found["macro_f1"].value == 0
            assert found["subset_accuracy"].value == bool(used)
            continue
        if len({name for row in used for names in row[:2] for name in names}) == 1:
            continue  # scikit-learn takes one class for a binary problem
        want = reference(used, len(sums.classes))
        for name, estimate in found.items():
            assert estimate.value == pytest.approx(want[name], abs=1e-12), name
            if not estimate.undefined and not np.isnan(estimate.low):
                assert -1e-12 <= estimate.low <= estimate.value + 1e-12
                assert estimate.value - 1e-12 <= estimate.high <= 1 + 1e-12
        confusion = metrics.multilabel_confusion_matrix(*indicators(used, sums.classes))
        figures = class_figures_of(sums, group)
        assert figures.hits.tolist() == confusion[:, 1, 1].tolist()
        assert (figures.predicted - figures.hits).tolist() == confusion[:, 0, 1].tolist()
        assert (figures.support - figures.hits).tolist() == confusion[:, 1, 0].tolist()
    assert class_figures_of(rest, 1).hits.tolist() == class_figures_of(sums, 2).hits.tolist()
    assert {n: v[1] for n, v in rest.rows.items()} == pytest.approx({n: v[2] for n, v in sums.rows.items()})


def indicators(rows: list, classes: tuple[str, ...]) -> list[NDArray[np.int64]]:
    return [np.array([[name in row[side] for name in classes] for row in rows], int) for side in (0, 1)]


def test_intervals_are_as_wide_as_resampled_rows_vary(tables: Tables) -> None:
    """Classes that occur together, so that intervals of independent classes would be far too narrow."""
    rng = np.random.default_rng(5)
    names, n = np.array(list("abcdef")), 1500
    topic = rng.random(n) < 0.4
    label = rng.random((n, 6)) < np.where(topic, 0.7, 0.1)[:, None]
    fails = rng.random(n) < 0.25
    guess = np.where(fails[:, None], rng.random((n, 6)) < 0.3, label ^ (rng.random((n, 6)) < 0.05))
    rows = [(list(names[y]), list(names[p]), False, 1) for y, p in zip(label, guess, strict=True)]
    found = set_estimates(set_sums(tables, evaluation_of(tables.folder, table(rows), "multilabel"), "true"), 0, 10)
    drawn = []
    for _ in range(300):
        pick = rng.integers(0, n, n)
        y, p = label[pick], guess[pick]
        hits, sizes = (y & p).sum(0), y.sum(0) + p.sum(0)
        each = 2 * (y & p).sum(1) / np.maximum((y.sum(1) + p.sum(1)), 1)
        drawn.append({
            "macro_f1": (2 * hits / sizes).mean(), "micro_f1": 2 * hits.sum() / sizes.sum(), "samples_f1": each.mean(),
            "weighted_f1": (2 * hits / sizes * y.sum(0)).sum() / y.sum(), "hamming_loss": (y ^ p).mean(),
            "macro_recall": (hits / y.sum(0)).mean(), "macro_precision": (hits / p.sum(0)).mean(),
            "micro_recall": hits.sum() / y.sum(), "micro_precision": hits.sum() / p.sum(),
        })  # fmt: skip
    for name in drawn[0]:
        half = 1.96 * np.std([draw[name] for draw in drawn])
        ours = (found[name].high - found[name].low) / 2
        assert ours == pytest.approx(half, rel=0.15), name
