"""Curves over real services, against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from tests.dashboard.api.publisher import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_curves_equal_scikit_learn_within_their_bounds(api, name):
    table = pd.read_parquet(api.folder / "cancer.parquet")
    table = table[table["mean radius"] > 12]
    query = {"class": name, "filter": '"mean radius" > 12', "threshold": "0.3", "fp": "2", "fn": "7"}
    document = api.client.get(api.path("classification", "/curves"), query_string=query).json
    hit, scores = table.label == name, table[f"score_{name}"]
    assert (document["class_name"], document["n"], document["n_positive"]) == (name, len(table), hit.sum())
    assert abs(document["auc"]["value"] - roc_auc_score(hit, scores)) <= document["auc_error"] + 1e-12
    exact = average_precision_score(hit, scores)
    assert abs(document["average_precision"]["value"] - exact) <= document["average_precision_error"] + 1e-12
    tn, fp, fn, tp = confusion_matrix(hit, scores >= 0.3).ravel()
    found = document["at_threshold"]
    assert [found[key] for key in ("tp", "fp", "fn", "tn")] == [tp, fp, fn, tn]
    assert found["cost"]["value"] == pytest.approx((2 * fp + 7 * fn) / len(table))
    assert document["optimum"]["cost"]["value"] == pytest.approx(min(document["costs"]["y"]))
    by_hand = [
        (2 * ((scores >= t) & ~hit).sum() + 7 * ((scores < t) & hit).sum()) / len(table) for t in np.unique(scores)
    ]
    assert document["optimum"]["cost"]["value"] == pytest.approx(min(by_hand), abs=0.02)


@pytest.mark.parametrize(
    ("query", "words"),
    [({"class": "cat"}, "no scores of class 'cat'"), ({"fp": "-1"}, "fp is '-1'"), ({"threshold": "x"}, "threshold"),
     ({"curve": "cat"}, "accepted: filter, slice, class")],
)  # fmt: skip
def test_what_cannot_be_drawn_is_named(api, query, words):
    response = api.client.get(api.path("classification", "/curves"), query_string=query)
    assert response.status_code == 400
    assert words in response.json["error"]["message"]


def test_a_run_without_scores_says_what_to_log(api):
    response = api.client.get(api.path("regression", "/curves"))
    assert response.status_code == 422
    assert "classification" in response.json["error"]["message"]
