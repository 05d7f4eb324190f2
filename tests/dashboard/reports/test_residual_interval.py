"""A number's interval from the evaluation's residuals."""

import numpy as np
import pandas as pd
import pytest

from dashboard.inference.outputs import Prediction
from dashboard.reports.residual_interval import interval_of, residuals_of


def test_the_interval_is_the_answer_plus_numpys_quantiles_of_the_residuals(house):
    random = np.random.default_rng(3)
    label, said = random.normal(size=500), random.normal(size=500)
    frame = pd.DataFrame({"label": [*label, np.nan, 1.0], "prediction": [*said, 2.0, np.inf]})
    house.add("r", frame, "regression")
    low, high = np.quantile(label - said, [0.025, 0.975])
    found = interval_of(house, "r", Prediction(value=10.0))
    assert (found.low, found.high, found.n) == (pytest.approx(10 + low, abs=1e-12), pytest.approx(10 + high), 500)
    assert interval_of(house, "r", Prediction(label="a")) is None
    before = house.scans("residual")
    interval_of(house, "r", Prediction(value=1.0))
    assert house.scans("residual") == before == 1


@pytest.mark.parametrize(("rows", "task"), [(39, "regression"), (100, "classification")])
def test_too_few_residuals_and_other_tasks_give_none(house, rows, task):
    frame = pd.DataFrame({"label": np.arange(rows) / 7, "prediction": np.arange(rows) / 3})
    house.add("r", frame, task)
    assert residuals_of(house, "r") is None
