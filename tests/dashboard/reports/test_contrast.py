"""Features of wrong rows against right ones."""

import numpy as np
import pandas as pd

from dashboard.metrics.codes import build_codes
from dashboard.metrics.tables import Tables
from dashboard.reports.contrast import ContrastQuery, contrast_report
from tests.dashboard.reports.conftest import House


def rows(n: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    label, age = rng.choice(["a", "b"], n), rng.normal(50, 15, n)
    wrong = rng.random(n) < np.where(age > 65, 0.5, 0.05)
    frame = pd.DataFrame({"label": label, "prediction": np.where(wrong, np.where(label == "a", "b", "a"), label)})
    frame["age"], frame["noise"] = age, rng.normal(0, 1, n)
    frame["city"] = rng.choice([f"city {i}" for i in range(40)], n)
    frame.loc[::100, "age"] = np.nan
    return frame


ROLES = {"roles": {"features": ("noise", "city", "age")}}


def test_the_feature_that_matters_comes_first_and_its_worst_bin_is_found(house: House) -> None:
    frame = rows()
    house.add("r1", frame, **ROLES)
    found = contrast_report(house, ContrastQuery(run="r1"))
    assert found is not None
    wrong = int((frame.label != frame.prediction).sum())
    assert (found.wrong, found.right, found.tested) == (wrong, len(frame) - wrong, 3)
    first = found.features[0]
    assert first.name == "age"
    assert first.p < 1e-6
    assert first.missing == 20
    assert sum(first.wrong) + sum(first.right) == len(frame) - 20
    assert first.worst is not None
    assert first.values[first.worst].endswith("and above")
    assert all(item.p > 0.001 for item in found.features[1:])
    chosen = contrast_report(house, ContrastQuery(run="r1", filter=first.filters[first.worst]))
    assert chosen is not None
    assert (chosen.wrong, chosen.right) == (first.wrong[first.worst], first.right[first.worst])


def test_the_code_sidecar_gives_the_same_bars(house: House) -> None:
    evaluation = house.add("r1", rows(), **ROLES)
    before = contrast_report(house, ContrastQuery(run="r1"))
    assert evaluation is not None
    build_codes(Tables(house.settings.data_dir), evaluation)
    house.cache._disk.clear()
    assert contrast_report(house, ContrastQuery(run="r1")) == before


def test_many_values_share_the_last_bar(house: House) -> None:
    frame = rows().assign(city=lambda f: np.where(f.label != f.prediction, "wrong town", f.city))
    house.add("r1", frame, **ROLES)
    found = contrast_report(house, ContrastQuery(run="r1"))
    assert found is not None
    city = next(item for item in found.features if item.name == "city")
    assert (len(city.values), city.values[-1], city.filters[-1], city.others) == (12, "other values", "", 30)
    assert city.values[city.worst or 0] == "wrong town"


def test_nothing_to_compare(house: House) -> None:
    house.add("r1", {"label": [1.5, 2.5], "prediction": [1.5, 2.5]}, "regression")
    exact = contrast_report(house, ContrastQuery(run="r1"))
    assert exact is not None
    assert (exact.tested, exact.limit) == (0, None)
    house.add("r0", {"boxes": [1]}, "detection")
    assert contrast_report(house, ContrastQuery(run="r0")) is None
    house.add("r2", rows(50), **ROLES)
    empty = contrast_report(house, ContrastQuery(run="r2", filter="age > 1000"))
    assert empty is not None
    assert (empty.right, empty.wrong, empty.features) == (0, 0, ())


def test_rows_far_off_of_a_regression(house: House) -> None:
    rng = np.random.default_rng(6)
    frame = rows()[["age", "noise", "city"]].assign(label=rng.normal(size=2000))
    error = rng.normal(size=2000) * np.where(frame.age > 65, 4.0, 0.5)
    evaluation = house.add("r1", frame.assign(prediction=frame.label + error), "regression", **ROLES)
    found = contrast_report(house, ContrastQuery(run="r1"))
    assert found is not None
    assert found.limit is not None
    far = (frame.label + error - frame.label).abs() >= found.limit
    assert (found.wrong, found.right) == (far.sum(), (~far).sum())
    assert found.wrong == 201  # the tenth of 2,000, and the row at the limit
    first = found.features[0]
    assert (first.name, first.missing) == ("age", 20)
    assert sum(first.wrong) == (far & frame.age.notna()).sum()
    assert evaluation is not None
    build_codes(Tables(house.settings.data_dir), evaluation)
    house.cache._disk.clear()
    assert contrast_report(house, ContrastQuery(run="r1")) == found


def test_sets_of_classes_that_differ(house: House) -> None:
    data = {"label": [["a"], ["a", "b"], [], ["b"]] * 30, "prediction": [["a"], ["a"], [], ["b"]] * 30}
    data["kind"] = ["x", "y", "x", "x"] * 30
    house.add("r1", data, "multilabel", roles={"features": ("kind",)})
    found = contrast_report(house, ContrastQuery(run="r1"))
    assert found is not None
    assert (found.wrong, found.right, found.features[0].name) == (30, 90, "kind")
