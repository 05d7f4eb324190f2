"""Detections measured from a table: overall, per class, per slice, and two versions on the same pictures."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard.metrics import detection
from dashboard.metrics.slices import declared_slices
from dashboard.metrics.tables import Tables
from dashboard.reports.measured_boxes import compare_boxes, detected, measure_boxes
from mlflow_runs.records import Evaluation, Roles

N, MIN = 120, 30


def _evaluation(folder, name, shift):
    """Two objects a picture: a cat that is always found, a dog that is off by `shift` in every second picture."""
    truth, found = [], []
    for at in range(N):
        cat = {"label": "cat", "x": 0.0, "y": 0.0, "w": 10.0, "h": 10.0}
        dog = {"label": "dog", "x": 40.0, "y": 0.0, "w": 10.0, "h": 10.0}
        moved = dog | {"x": 40.0 + shift * (at % 2)}
        truth.append([cat, dog])
        found.append([cat | {"score": 0.9}, moved | {"score": 0.5 + at / (2 * N)}])
    odd = [at % 2 == 1 for at in range(N)]
    path = folder / f"{name}.parquet"
    ids = [f"p{at}" for at in range(N)]
    pq.write_table(pa.table({"id": ids, "slice_odd": odd, "boxes": truth, "predicted_boxes": found}), path)
    roles = Roles(id="id", boxes="boxes", predicted_boxes="predicted_boxes", slices=("slice_odd",))
    return Evaluation(name, "detection", roles, ("cat", "dog"), table=path, digest=name, n_rows=N)


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path)


def test_overall_classes_and_slices(tables, tmp_path):
    evaluation, slices = _evaluation(tmp_path, "a", 20.0), declared_slices(["slice_odd"])
    found = measure_boxes(detected(tables, evaluation, "true", slices), slices, None, MIN)
    cat, dog = found.classes
    assert (cat.n, cat.n_predicted, cat.hits, cat.averages["map"].value) == (N, N, N, 1.0)
    assert (dog.n, dog.hits, dog.averages["ar100"].value) == (N, N // 2, 0.5)
    assert (dog.recall.value, dog.precision.value, dog.f1.value) == (0.5, 0.5, 0.5)
    assert found.overall["map"].value == pytest.approx((1 + dog.averages["map"].value) / 2)
    assert found.n == N and found.overall["map"].low < found.overall["map"].value < found.overall["map"].high
    (odd,) = found.slices
    assert odd.n == N // 2 and odd.metrics["map"].value == 0.5 and odd.verdict.word == "worse"


def test_a_slice_is_measured_as_if_it_were_all(tables, tmp_path):
    evaluation, slices = _evaluation(tmp_path, "a", 4.0), declared_slices(["slice_odd"])
    whole = detected(tables, evaluation, "true", slices)
    inside = measure_boxes(whole, slices, 0, MIN)
    alone = measure_boxes(detected(tables, evaluation, "slice_odd"), (), None, MIN)
    assert {name: e.value for name, e in inside.overall.items()} == {name: e.value for name, e in alone.overall.items()}
    assert [row.hits for row in inside.classes] == [row.hits for row in alone.classes]
    assert inside.n == alone.n == N // 2


def test_versions_are_paired_by_id(tables, tmp_path):
    better, worse = _evaluation(tmp_path, "better", 1.0), _evaluation(tmp_path, "worse", 3.0)
    estimates = [measure_boxes(detected(tables, e, "true"), (), None, MIN).overall["map"] for e in (better, worse)]
    paired = compare_boxes(tables, better, worse, tuple(estimates), MIN)
    assert paired.paired and paired.word == "better" and paired.n == N
    assert paired.difference == pytest.approx(estimates[0].value - estimates[1].value)
    assert compare_boxes(tables, better, better, (estimates[0],) * 2, MIN).word == "same"


def test_other_pictures_are_compared_by_their_estimates(tables, tmp_path):
    one, other = _evaluation(tmp_path, "one", 4.0), _evaluation(tmp_path, "other", 4.0)
    renamed = pq.read_table(other.table).set_column(0, "id", pa.array([f"q{at}" for at in range(N)]))
    pq.write_table(renamed, other.table)
    estimate = detection.estimates(
        detection.averages(detected(tables, one, "true").matches, np.ones((3, N))).overall, N, MIN
    )["map"]
    assert not compare_boxes(tables, one, other, (estimate, estimate), MIN).paired
