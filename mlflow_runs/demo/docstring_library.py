"""Demo: which library does a docstring come from (text classification)."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from mlflow_runs.demo.docstrings import docstrings, share
from mlflow_runs.demo.estimators import estimator
from mlflow_runs.demo.task import DemoTask, Split, Version

LIBRARIES = {
    "matplotlib": "matplotlib",
    "networkx": "networkx",
    "numpy": "numpy",
    "pandas": "pandas",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "sqlalchemy": "sqlalchemy",
}
NEWCOMER = {"sympy": "sympy"}  # a library that no version has seen
CLASSES = tuple(sorted(LIBRARIES))
SCORES = {name: f"score_{name}" for name in CLASSES}
FILES = 90
PRODUCTION = 600  # rows, about
TRAINING_SHARE, EVALUATION_SHARE = 0.6, 0.25  # of the files, so that no file is on both sides
SHORT, CLEANED = 200, 550  # characters; version 3 was trained without texts shorter than CLEANED
SEED = 1


def load(files: int = FILES) -> Split:
    """Rows split by source file; production is the last part, into which a library nobody knows moves more and more."""
    table = docstrings(LIBRARIES, files)
    table["length (characters)"] = table["text"].str.len()
    place = ("split:" + table["file"]).map(share)
    train = table[place < TRAINING_SHARE]
    evaluation = table[(place >= TRAINING_SHARE) & (place < TRAINING_SHARE + EVALUATION_SHARE)]
    rest = table[place >= TRAINING_SHARE + EVALUATION_SHARE]
    parts = (train, _mixed(evaluation), _production(rest, files))
    # without the file, because its name gives the library away
    return Split(*(part.drop(columns="file") for part in parts))


def _mixed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.loc[rows["id"].map(share).sort_values().index]


def _production(rest: pd.DataFrame, files: int) -> pd.DataFrame:
    """Known libraries spread evenly over time, the newcomer's docstrings more and more densely towards its end."""
    strange = docstrings(NEWCOMER, max(1, files // 4))
    strange["length (characters)"] = strange["text"].str.len()
    rest, strange = _mixed(rest).head(PRODUCTION * 2 // 3), _mixed(strange).head(PRODUCTION // 3)
    when = np.concatenate([np.linspace(0, 1, len(rest)), np.sqrt(np.linspace(0, 1, len(strange)))])
    return pd.concat([rest, strange], ignore_index=True).iloc[np.argsort(when, kind="stable")]


def _words(limit: int, longest: int = 1) -> TfidfVectorizer:
    return TfidfVectorizer(sublinear_tf=True, max_features=limit, ngram_range=(1, longest))


def _letters(limit: int, shortest: int, longest: int) -> TfidfVectorizer:
    return TfidfVectorizer(
        sublinear_tf=True, max_features=limit, analyzer="char_wb", ngram_range=(shortest, longest), min_df=2
    )


def _pipeline(words: TfidfVectorizer, classifier: Any) -> Pipeline:
    # a column transformer, because the model is then called with a table and needs no code of ours
    return make_pipeline(ColumnTransformer([("text", words, "text")]), classifier)


def _linear(alpha: float) -> SGDClassifier:
    return SGDClassifier(loss="log_loss", alpha=alpha, random_state=SEED)


def _versions() -> tuple[Version, ...]:
    build = partial(estimator, columns=["text"], label="library", scores=SCORES, cloudpickle=True)
    words = build(lambda: _pipeline(_words(5000), _linear(3e-5)))
    common = {"estimator": "linear, log loss", "random_state": SEED}
    word_params = {**common, "alpha": 3e-5, "features": "words", "max_features": 5000}
    return (
        Version(
            "400 words",
            "First version: the 400 most frequent words.",
            49,
            build(lambda: _pipeline(_words(400), _linear(1e-4))),
            {**common, "alpha": 1e-4, "features": "words", "max_features": 400},
        ),
        Version("5,000 words", "A vocabulary of 5,000 words.", 36, words, word_params),
        Version(
            "cleaned texts",
            f"Retrained after a clean-up that removed texts shorter than {CLEANED} characters as noise.",
            20,
            words,
            word_params,
            keep=lambda row: row["length (characters)"] >= CLEANED,
            left_out=f"texts shorter than {CLEANED} characters",
        ),
        Version(
            "letter sequences",
            "Short texts are back; sequences of two to four letters instead of words.",
            8,
            build(lambda: _pipeline(_letters(20000, 2, 4), _linear(1e-5))),
            {**common, "alpha": 1e-5, "features": "2-4 letters", "max_features": 20000},
        ),
        Version(
            "smaller vocabulary",
            "Half as many sequences, for a smaller model.",
            0.12,
            build(lambda: _pipeline(_letters(10000, 2, 4), _linear(1e-5))),
            {**common, "alpha": 1e-5, "features": "2-4 letters", "max_features": 10000},
        ),
    )


def task(files: int = FILES) -> DemoTask:
    """The task; docstrings are read (from at most `files` files a library) only when `load` is called."""
    return DemoTask(
        name="docstring-library",
        kind="classification",
        description="Tells which Python library a docstring was written for; the libraries' own names are masked.",
        source="Docstrings of the installed matplotlib (PSF-like licence), networkx, numpy, pandas, scikit-learn, scipy"
        " and sympy (BSD-3-Clause) and SQLAlchemy (MIT).",
        shift="Docstrings of other files; towards the end more and more of sympy, a library no version has seen.",
        load=partial(load, files),
        versions=_versions(),
        champion=4,
        label="library",
        scores=SCORES,
        classes=CLASSES,
        text="text",
        slices={
            "short text": lambda row: row["length (characters)"] < SHORT,
            "has parameters": lambda row: "Parameters\n" in row["text"] or ":param" in row["text"],
            "has examples": lambda row: "Examples\n" in row["text"] or ">>> " in row["text"],
            "mentions an array": lambda row: "array" in row["text"].lower(),
            "mentions a plot": lambda row: any(word in row["text"].lower() for word in ("plot", "axes", "figure")),
        },
        tags={"domain": "software", "data": "text"},
    )
