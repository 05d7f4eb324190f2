"""Fit and log the scikit-learn models of the demo tasks."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature

from mlflow_runs.demo.task import Trained

TRUSTED = ("sklearn.tree._tree.Tree",)  # because skops refuses tree models unless told so; these we grew ourselves
PACKAGES = ("scikit-learn", "numpy", "scipy", "pandas", "skops", "cloudpickle")


def pinned(*packages: str) -> list[str]:
    """Exact requirements of the installed packages, without local build tags such as +cpu."""
    return [f"{name}=={version(name).split('+')[0]}" for name in packages]


def estimator(
    make: Callable[[], Any],
    columns: Sequence[str],
    label: str,
    scores: Mapping[str, str] | None = None,
    cloudpickle: bool = False,
) -> Callable[[pd.DataFrame], Trained]:
    """A `fit` for a demo version: the estimator that `make` returns, over these columns of the training rows.

    `scores` maps class to the column that gets its probability. `cloudpickle` is for large vocabularies, which take
    skops, the safe default, seconds per model to write and to read.
    """
    form = "cloudpickle" if cloudpickle else "skops"
    return partial(_fit, make=make, columns=list(columns), label=label, scores=dict(scores or {}), form=form)


def _fit(
    train: pd.DataFrame, make: Callable[[], Any], columns: list[str], label: str, scores: dict[str, str], form: str
) -> Trained:
    model = make().fit(train[columns], train[label])
    return Trained(
        answer=partial(_answer, model=model, columns=columns, scores=scores),
        log=partial(_log, model=model, example=train[columns].head(3), form=form),
    )


def _answer(rows: pd.DataFrame, model: Any, columns: list[str], scores: dict[str, str]) -> pd.DataFrame:
    answers = pd.DataFrame({"prediction": model.predict(rows[columns])}, index=rows.index)
    if scores:
        chances = dict(zip(map(str, model.classes_), model.predict_proba(rows[columns]).T, strict=True))
        answers = answers.assign(**{column: chances[name] for name, column in scores.items()})
    return answers


def _log(model: Any, example: pd.DataFrame, form: str) -> Any:
    trusted = {"skops_trusted_types": list(TRUSTED)} if form == "skops" else {}
    return mlflow.sklearn.log_model(
        model,
        name="model",
        signature=infer_signature(example, model.predict(example)),
        input_example=example,
        pip_requirements=pinned(*PACKAGES),
        serialization_format=form,
        **trusted,
    )
