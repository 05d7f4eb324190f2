"""Measures the metrics beside pandas + scikit-learn: `python -m tests.bench.bench_metrics [--rows 10000000]`.

Every line is one operation on the same table: 10 classes, 10 categorical and 10 numeric columns, integer labels.
Warm medians; "cold" is the first call. The baseline runs on at most one million rows and once, because it is slow.
"""

import argparse
import functools
import importlib.util
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import f1_score, precision_recall_fscore_support, precision_score, recall_score, roc_auc_score

from dashboard.metrics import breakdown, discovery, intervals
from dashboard.metrics.coded_cube import Condition, coded_cube
from dashboard.metrics.codes import Codes, build_codes
from dashboard.metrics.comparison import joint_counts, paired_macro_f1
from dashboard.metrics.cube import count_cube
from dashboard.metrics.curves import auc, auc_error, score_counts
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.rows import fetch_rows
from dashboard.metrics.tables import Tables, source
from dashboard.reports.data import DataQuery, page_of
from dashboard.reports.performance import PerformanceQuery, errors_of
from dashboard.reports.selection import Selection
from mlflow_runs.records import Evaluation, Roles

SIZES = (2, 3, 5, 8, 12, 20, 50, 100, 206, 900)
CHUNK = 1_000_000
FILTER = "n0 BETWEEN -1 AND 1 AND c3 = 'v3'"


def make(path: Path, rows: int) -> None:
    """The table, written by chunks so that ten million rows need little memory."""
    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        label = rng.choice(10, n, p=np.arange(1, 11) / 55)
        data: dict[str, Any] = {"id": np.arange(start, start + n), "label": label}
        for i, size in enumerate(SIZES):
            data[f"c{i}"] = pa.array(np.array([f"v{k}" for k in range(size)])[(rng.random(n) ** 2 * size).astype(int)])
        for i in range(10):
            data[f"n{i}"] = rng.normal(size=n)
        skill = np.where((data["n0"] > 1.5), 0.6, 0.85)
        data["prediction"] = np.where(rng.random(n) < skill, label, rng.integers(0, 10, n))
        data["score"] = np.clip(rng.normal(np.where(label == 9, 0.6, 0.4), 0.15), 0, 1)
        data["slice_short"], data["slice_rare"] = rng.random(n) < 0.3, rng.random(n) < 0.01
        table = pa.table(data)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def timed(function: Callable[[], Any], repeat: int) -> tuple[float, float]:
    """Milliseconds of the first call, and the median of `repeat` more (the first where there are none)."""
    spent = []
    for _ in range(1 + repeat):
        start = time.perf_counter()
        function()
        spent.append((time.perf_counter() - start) * 1e3)
    return spent[0], statistics.median(spent[1:]) if repeat else spent[0]


def per_group(frame: pd.DataFrame, columns: list[str]) -> None:
    """How people write it: one scikit-learn report per value of each column."""
    for column in columns:
        for _, part in frame.groupby(column, observed=True):
            precision_recall_fscore_support(part["label"], part["prediction"], zero_division=0)


def peak() -> float:
    """The most memory that this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(name: str, cold: float, warm: float, note: str = "") -> None:
    """One line of the table."""
    print(f"{name:<52}{cold:>12,.1f}{warm:>12,.1f}  {note}", flush=True)


def main() -> None:
    """Build the table and print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--baseline", choices=("full", "one", "none"), default="one")
    parser.add_argument("--evidently", default="", help="python of an environment in which Evidently is installed")
    options, _ = parser.parse_known_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-metrics-"))
    try:
        measure(folder, options.rows, options.repeat, options.baseline)
        if options.baseline != "none":
            evidently(folder / "table.parquet", min(options.rows, CHUNK), options.evidently)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, rows: int, repeat: int, baseline: str) -> None:
    """All measurements over one table in a folder."""
    path = folder / "table.parquet"
    # in a process of its own, so that the peak below is not that of making the data
    maker = multiprocessing.get_context("spawn").Process(target=make, args=(path, rows))
    maker.start()
    maker.join()
    features = (*(f"c{i}" for i in range(10)), *(f"n{i}" for i in range(10)))
    roles = Roles(
        label="label",
        prediction="prediction",
        id="id",
        score="score",
        slices=("slice_short", "slice_rare"),
        features=features,
    )
    classes = tuple(map(str, range(10)))
    evaluation = Evaluation("r", "classification", roles, classes, "9", path, "bench", rows)
    tables = Tables(folder)
    print(f"{rows:,} rows, {path.stat().st_size / 2**20:,.0f} MB of Parquet, 10 classes, 22 slicing columns")
    print(f"{'operation':<52}{'cold ms':>12}{'warm ms':>12}   (process at start: {peak():,.0f} MB)")
    where = parse_filter(FILTER, tables.columns(path)).sql
    declared = ['"slice_short"', '"slice_rare"']
    report(
        "overall and 2 declared slices, Parquet",
        *timed(lambda: count_cube(tables, evaluation, "true", declared), repeat),
    )
    report("the same, filtered, Parquet", *timed(lambda: count_cube(tables, evaluation, where, declared), repeat))
    counts = count_cube(tables, evaluation, "true", []).counts()
    report(
        "headline intervals, 2,000 count bootstraps", *timed(lambda: intervals.bootstrap_estimates(counts, 10), repeat)
    )
    report("build the sidecar (once)", *timed(lambda: build_codes(tables, evaluation), 0))
    codes = build_codes(tables, evaluation)
    report("overall, codes", *timed(lambda: breakdown.whole_cube(codes), repeat))
    none, short = Condition("true", ()), Condition('"slice_short"', ("slice_short",))
    report(
        "overall and a declared slice, codes",
        *timed(lambda: coded_cube(tables, evaluation, codes, none, [short]), repeat),
    )
    slices = sum(len(c.values) for c in codes.columns)
    ten = [c.name for c in codes.columns if c.name.startswith("c")]
    note = f"{sum(len(c.values) for c in codes.columns if c.name in ten):,} slices"
    report(
        "every value of 10 columns, codes",
        *timed(lambda: breakdown.break_down_all(codes, None, ten), repeat),
        note,
    )
    report(
        "every value of 22 columns, codes",
        *timed(lambda: breakdown.break_down_all(codes), repeat),
        f"{slices:,} slices",
    )
    mask = breakdown.filter_mask(tables, evaluation, where)
    asked = f"SELECT {where} AS m FROM {source(path)}"
    report("filter to a mask, Parquet", *timed(lambda: tables.query(asked)["m"].to_numpy(), repeat))
    report(
        "every value of 10 columns, filtered, codes",
        *timed(lambda: breakdown.break_down_all(codes, mask, ten), repeat),
    )
    limit(codes, ten, repeat)
    pairs = [(a, b) for i, a in enumerate(ten[:6]) for b in ten[i + 1 : 6]]
    report(
        "15 pairs of columns, codes",
        *timed(lambda: [breakdown.break_down(codes, pair) for pair in pairs], min(repeat, 3)),
    )
    cells, many = (
        breakdown.cells_of(codes),
        np.concatenate([breakdown.break_down(codes, (c,)).table[:, 1:] for c in ten]),
    )
    report(
        "figures and intervals of all these slices", *timed(lambda: intervals.slice_estimates(cells, many, 10), repeat)
    )
    report(
        "score histogram and AUC of one class",
        *timed(lambda: auc(score_counts(tables, evaluation, "9", "true")), min(repeat, 3)),
    )
    scores = score_counts(tables, evaluation, "9", "true")
    report(
        "page 1,000 of rows, sorted by a number, Parquet",
        *timed(lambda: fetch_rows(tables, evaluation, "true", '"n3" DESC', 25_000, 25), 2),
    )
    deep = DataQuery(sort="n3", order="desc", offset=25_000)
    report("the same, codes", *timed(lambda: page_of(tables, evaluation, deep, Selection()), repeat))
    cell = PerformanceQuery(label="9", predicted="8")
    report("rows of a confusion cell, codes", *timed(lambda: errors_of(tables, evaluation, cell, Selection()), repeat))
    report("joint counts of two runs, paired by id", *timed(lambda: joint_counts(tables, evaluation, evaluation), 1))
    joint = joint_counts(tables, evaluation, evaluation)
    report("paired macro-F1 interval, 2,000 redraws", *timed(lambda: paired_macro_f1(joint, min_rows=10), 1))
    print(f"peak memory up to here: {peak():,.0f} MB")
    errors = discovery.classification_errors(codes)
    for depth in (2, 3) if rows <= CHUNK else (2,):
        question = discovery.Question(depth=depth, smallest=max(32, rows // 100))
        found, tested = discovery.discover(codes, errors, question)
        note = f"{tested:,} tested; worst: {found[0].filter if found else 'none'}"
        report(
            f"slice discovery, depth {depth}", *timed(lambda q=question: discovery.discover(codes, errors, q), 0), note
        )  # type: ignore[misc]
    print(f"peak memory with discovery: {peak():,.0f} MB")
    if baseline != "none":
        compare(path, rows, baseline, scores)


def limit(codes: Codes, columns: list[str], repeat: int) -> None:
    """The raw limit: one bincount per column over keys that are already made, nothing else."""
    cells, size = np.asarray(codes.cells(), dtype=np.intp), len(codes.row) + 1
    spent = []
    for column in columns:
        key = np.asarray(codes.codes(column), dtype=np.intp) * size + cells
        spent.append(timed(lambda key=key: np.bincount(key), min(repeat, 2))[1])  # type: ignore[misc]
    report("every value of 10 columns, bare numpy.bincount", sum(spent), sum(spent), "keys made beforehand")


def peers(frame: pd.DataFrame) -> None:
    """Other tools, where they are installed (see docs/benchmarks.md)."""
    if importlib.util.find_spec("fairlearn"):
        fairlearn = importlib.import_module("fairlearn.metrics")
        scores = {"recall": recall_score, "precision": precision_score, "f1": f1_score}
        metrics = {name: functools.partial(f, average="macro", zero_division=0) for name, f in scores.items()}
        parts = {"metrics": metrics, "y_true": frame["label"], "y_pred": frame["prediction"]}
        once = timed(lambda: fairlearn.MetricFrame(sensitive_features=frame["c4"], **parts).by_group, 0)
        report("fairlearn MetricFrame, one column of 12 values", *once)
    else:
        print("fairlearn is not installed: left out")
    if importlib.util.find_spec("sliceline"):
        part = frame.head(100_000)
        values = part[[f"c{i}" for i in range(8)]].apply(lambda column: column.astype("category").cat.codes + 1)
        wrong = (part["label"] != part["prediction"]).to_numpy().astype(float)
        finder = importlib.import_module("sliceline").Slicefinder(
            alpha=0.95, k=15, max_l=2, min_sup=1000, verbose=False
        )
        report("sliceline, level 2, 100,000 rows x 8 columns", *timed(lambda: finder.fit(values, wrong), 0))
    else:
        print("sliceline is not installed: left out")


def evidently(path: Path, rows: int, interpreter: str) -> None:
    """Evidently's classification report of the whole table, run by the interpreter of an environment that has it."""
    if not interpreter:
        print("Evidently is left out: it needs another pandas; name the python of its environment with --evidently")
        return
    peer = Path(__file__).with_name("evidently_peer.py")
    done = subprocess.run([interpreter, str(peer), str(path), str(rows)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"Evidently is left out: {interpreter} said: {done.stderr.strip().splitlines()[-1][:160]}")
        return
    spent = float(done.stdout.split()[-1]) * 1e3
    report("Evidently, classification report of all rows", spent, spent, f"{rows:,} rows")


def compare(path: Path, rows: int, baseline: str, scores: Any) -> None:
    """The same figures with pandas and scikit-learn on at most one million rows."""
    table = next(pq.ParquetFile(path).iter_batches(batch_size=CHUNK))
    frame = table.to_pandas()
    print(f"pandas + scikit-learn, integer labels, {len(frame):,} rows")
    report("overall", *timed(lambda: precision_recall_fscore_support(frame["label"], frame["prediction"]), 1))
    report("one column of 12 values", *timed(lambda: per_group(frame, ["c4"]), 1))
    columns = [f"c{i}" for i in range(10)]
    if baseline == "full":
        report("every value of 10 columns", *timed(lambda: per_group(frame, columns), 0), "1,306 slices")
    peers(frame)
    report("AUC of one class", *timed(lambda: roc_auc_score(frame["label"] == 9, frame["score"]), 1))
    if rows <= CHUNK:
        exact = roc_auc_score(frame["label"] == 9, frame["score"])
        print(f"AUC differs by {abs(auc(scores).value - exact):.1e}; stated bound {auc_error(scores):.1e}")


if __name__ == "__main__":
    main()
