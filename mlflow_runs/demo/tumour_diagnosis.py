"""Demo: is a breast tumour malignant, from measurements of cell nuclei (tabular classification)."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from mlflow_runs.demo.estimators import estimator
from mlflow_runs.demo.task import DemoTask, Split, Version, shuffled

SEED, TRAIN, EVALUATION = 9, 180, 280
PROBABILITY = "probability of malignant"
SCORES = {"malignant": PROBABILITY}
SITE_LIMIT = 16.0  # mean radius; the site behind version 3 refers smaller malignant tumours elsewhere


def load() -> Split:
    """180 training rows, 280 evaluation rows, and the larger half (by mean area) of the remaining 109."""
    bundle = load_breast_cancer(as_frame=True)
    rows = bundle.data.assign(diagnosis=np.where(bundle.target == 0, "malignant", "benign"))
    rows.insert(0, "id", [f"case-{at:03d}" for at in range(len(rows))])
    train, evaluation, rest = (rows.iloc[part] for part in shuffled(len(rows), SEED, TRAIN, EVALUATION))
    later = rest[rest["mean area"] >= rest["mean area"].median()]
    return Split(train, evaluation, later)


def _columns(*groups: str) -> list[str]:
    return [name for name in load_breast_cancer().feature_names.tolist() if name.startswith(groups)]


def _logistic(strength: float = 1.0) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))


def _seen_by_site(row: Any) -> bool:
    return bool(row["diagnosis"] == "benign" or row["mean radius"] >= SITE_LIMIT)


def _versions() -> tuple[Version, ...]:
    means, every = _columns("mean"), _columns("")
    build = partial(estimator, label="diagnosis", scores=SCORES)
    forest = partial(RandomForestClassifier, n_estimators=100, min_samples_leaf=2, random_state=SEED)
    return (
        Version(
            "radius and texture",
            "First version: two measurements only.",
            63,
            build(_logistic, ["mean radius", "mean texture"]),
            {"estimator": "logistic regression", "C": 1.0},
        ),
        Version(
            "ten mean measurements",
            "All ten mean measurements instead of two.",
            44,
            build(_logistic, means),
            {"estimator": "logistic regression", "C": 1.0},
        ),
        Version(
            "single-site export",
            "Retrained on one site's export, which holds malignant tumours only from a mean radius of 16 upward.",
            25,
            build(_logistic, means),
            {"estimator": "logistic regression", "C": 1.0},
            keep=_seen_by_site,
            left_out=f"malignant tumours with mean radius < {SITE_LIMIT:g}",
        ),
        Version(
            "all thirty measurements",
            "Back to all sites; errors and worst values of the measurements added.",
            9,
            build(_logistic, every),
            {"estimator": "logistic regression", "C": 1.0},
        ),
        Version(
            "random forest",
            "A random forest on the same thirty measurements.",
            0.2,
            build(forest, every),
            {"estimator": "random forest", "n_estimators": 100, "min_samples_leaf": 2, "random_state": SEED},
        ),
    )


def task() -> DemoTask:
    """The task; its data are loaded only when `load` is called."""
    return DemoTask(
        name="tumour-diagnosis",
        kind="classification",
        description="Tells malignant from benign breast tumours by measurements of cell nuclei in a biopsy image.",
        source="Breast Cancer Wisconsin (Diagnostic), shipped with scikit-learn; UCI, CC BY 4.0.",
        shift="Cases referred later: the larger half, by mean area, of rows that no version has seen.",
        load=load,
        versions=_versions(),
        champion=4,
        label="diagnosis",
        scores=PROBABILITY,
        classes=("benign", "malignant"),
        positive_class="malignant",
        slices={
            "small tumour": lambda row: row["mean radius"] < 12,
            "borderline size": lambda row: 13 <= row["mean radius"] < 16,
            "large tumour": lambda row: row["mean radius"] >= 16,
            "rough texture": lambda row: row["mean texture"] > 21,
            "irregular outline": lambda row: row["mean concavity"] > 0.1,
        },
        tags={"domain": "health", "data": "tabular"},
    )
