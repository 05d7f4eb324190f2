"""Demo: how far diabetes has progressed after one year (regression)."""

from functools import partial

from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlflow_runs.demo.estimators import estimator
from mlflow_runs.demo.task import DemoTask, Split, Version, shuffled

SEED, TRAIN, EVALUATION = 2, 150, 200
LABEL = "progression after one year"
AGE, SEX, BMI, PRESSURE = "age (years)", "sex (coded 1 or 2)", "body mass index (kg/m²)", "blood pressure (mmHg)"
BLOOD = {
    "s1": "total cholesterol (mg/dl)",
    "s2": "LDL cholesterol (mg/dl)",
    "s3": "HDL cholesterol (mg/dl)",
    "s4": "total to HDL cholesterol ratio",
    "s5": "log of triglycerides",
    "s6": "blood sugar (mg/dl)",
}
COLUMNS = {"age": AGE, "sex": SEX, "bmi": BMI, "bp": PRESSURE, **BLOOD, "target": LABEL}
STUDY_LIMIT = 28.0  # kg/m²; the study behind version 3 took nobody heavier
OLDER = 50.0  # years


def load() -> Split:
    """150 training rows, 200 evaluation rows, and the patients aged 50 or more among the remaining 92."""
    rows = load_diabetes(as_frame=True, scaled=False).frame.astype(float).rename(columns=COLUMNS)
    rows.insert(0, "id", [f"patient-{at:03d}" for at in range(len(rows))])
    train, evaluation, rest = (rows.iloc[part] for part in shuffled(len(rows), SEED, TRAIN, EVALUATION))
    return Split(train, evaluation, rest[rest[AGE] >= OLDER])


def _forest() -> RandomForestRegressor:
    return RandomForestRegressor(n_estimators=80, min_samples_leaf=4, random_state=SEED)


def _versions() -> tuple[Version, ...]:
    body, every = [AGE, SEX, BMI, PRESSURE], [AGE, SEX, BMI, PRESSURE, *BLOOD.values()]
    build = partial(estimator, label=LABEL)
    forest = {"estimator": "random forest", "n_estimators": 80, "min_samples_leaf": 4, "random_state": SEED}
    return (
        Version(
            "examination only",
            "First version: linear regression on age, sex, body mass index and blood pressure.",
            56,
            build(lambda: make_pipeline(StandardScaler(), LinearRegression()), body),
            {"estimator": "linear regression"},
        ),
        Version("with blood values", "Blood values added; a random forest.", 41, build(_forest, every), forest),
        Version(
            "lean study",
            "Retrained on a study that took only patients with a body mass index below 28.",
            23,
            build(_forest, every),
            forest,
            keep=lambda row: row[BMI] < STUDY_LIMIT,
            left_out=f"body mass index >= {STUDY_LIMIT:g}",
        ),
        Version(
            "ridge, all patients",
            "All patients again; ridge regression instead of the forest.",
            11,
            build(lambda: make_pipeline(StandardScaler(), Ridge(10)), every),
            {"estimator": "ridge regression", "alpha": 10},
        ),
        Version(
            "ridge without sex",
            "The same without the sex column, on request of the review board.",
            0.15,
            build(lambda: make_pipeline(StandardScaler(), Ridge(10)), [name for name in every if name != SEX]),
            {"estimator": "ridge regression", "alpha": 10},
        ),
    )


def task() -> DemoTask:
    """The task; its data are loaded only when `load` is called."""
    return DemoTask(
        name="diabetes-progression",
        kind="regression",
        description="Predicts a score of how far diabetes has progressed (25 to 346) one year after the examination.",
        source="Diabetes data of Efron, Hastie, Johnstone and Tibshirani (2004), in scikit-learn (BSD-3-Clause).",
        shift="Patients aged 50 or more among rows that no version has seen.",
        load=load,
        versions=_versions(),
        champion=4,
        label=LABEL,
        slices={
            "under 40": lambda row: row[AGE] < 40,
            "60 and older": lambda row: row[AGE] >= 60,
            "sex 1": lambda row: row[SEX] == 1,
            "sex 2": lambda row: row[SEX] == 2,
            "normal weight": lambda row: row[BMI] < 25,
            "obese": lambda row: row[BMI] >= 30,
        },
        tags={"domain": "health", "data": "tabular"},
    )
