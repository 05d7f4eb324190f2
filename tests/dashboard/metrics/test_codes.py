"""The sidecar: built once, whole or not at all, and equal to the table it stands for."""

import math
import multiprocessing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.metrics.breakdown import break_down, break_down_all
from dashboard.metrics.codes import FOLDER, build_codes, codes_folder, open_codes, prune_codes
from dashboard.metrics.cube import count_cube
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.tables import Tables
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of

FEATURES = ("region", "age", "rooms", "flag", "code", "text")


def frame(n: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "label": rng.choice([1.0, 2.0, 3.0], n),
            "prediction": rng.choice(["1", "2", "3", "4"], n),
            "region": rng.choice(["north", "it's", "<b>", ""], n),
            "age": rng.normal(40, 20, n).round(2),
            "rooms": rng.integers(1, 9, n),
            "flag": rng.random(n) < 0.3,
            "code": [f"c{i}" for i in rng.zipf(1.3, n) % 900],
            "text": [f"text number {i}" for i in range(n)],
            "slice_x": rng.random(n) < 0.2,
        }
    )
    data.loc[rng.random(n) < 0.05, ["label", "age"]] = math.nan
    data.loc[rng.random(n) < 0.05, "region"] = None
    return data


@pytest.fixture(scope="module")
def evaluation(tables: Tables) -> Evaluation:
    return evaluation_of(tables.folder, frame(), features=FEATURES)


def test_every_code_selects_what_its_filter_selects(tables: Tables, evaluation: Evaluation) -> None:
    codes = build_codes(tables, evaluation)
    types = tables.columns(evaluation.table)
    assert [c.name for c in codes.columns] == ["slice_x", "region", "age", "rooms", "flag", "code"]
    checked = 0
    for column in codes.columns[:5]:
        found = break_down(codes, (column.name,))
        conditions = [parse_filter(text, types).sql for text in column.filters]
        cube = count_cube(tables, evaluation, "true", conditions)
        for code, condition in enumerate(conditions):
            counts = cube.counts(code)
            got = found.counts(code)
            assert (got.row.tolist(), got.col.tolist(), got.n.tolist()) == (
                counts.row.tolist(),
                counts.col.tolist(),
                counts.n.tolist(),
            ), condition
            assert found.table[code, 0] == cube.unlabelled[1 + code]
            checked += 1
    assert checked > 30


def test_built_once_and_shared(tables: Tables, tmp_path: Path) -> None:
    home = Tables(tmp_path)
    evaluation = evaluation_of(tmp_path, frame(500), features=FEATURES)
    assert open_codes(home, evaluation) is None
    shares: list[float] = []
    build_codes(home, evaluation, shares.append)
    assert shares[-1] == 1.0
    before = (codes_folder(home, evaluation) / "codes.json").stat().st_ino
    build_codes(home, evaluation, lambda share: pytest.fail("built twice"))
    assert (codes_folder(home, evaluation) / "codes.json").stat().st_ino == before


def test_corrected_roles_are_another_sidecar(tables: Tables, evaluation: Evaluation) -> None:
    other = evaluation_of(tables.folder, frame(), features=("region",))
    assert other.digest == evaluation.digest
    assert codes_folder(tables, other) != codes_folder(tables, evaluation)


def test_a_cancelled_build_leaves_nothing(tmp_path: Path) -> None:
    home = Tables(tmp_path)
    evaluation = evaluation_of(tmp_path, frame(300), features=FEATURES)

    def cancel(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_codes(home, evaluation, cancel)
    assert open_codes(home, evaluation) is None
    assert not [path for path in (tmp_path / FOLDER).iterdir() if path.is_dir()]
    assert build_codes(home, evaluation).n == 300


def _build(folder: Path, evaluation: Evaluation, sink) -> None:
    built: list[float] = []
    build_codes(Tables(folder), evaluation, built.append)
    sink.put(bool(built))


@pytest.mark.process
def test_many_processes_build_it_once(tmp_path: Path) -> None:
    evaluation = evaluation_of(tmp_path, frame(2000), features=FEATURES)
    context = multiprocessing.get_context("spawn")
    sink = context.Queue()
    processes = [context.Process(target=_build, args=(tmp_path, evaluation, sink)) for _ in range(3)]
    for process in processes:
        process.start()
    built = [sink.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(30)
    assert sorted(built) == [False, False, True]


@pytest.mark.parametrize("n", [0, 1])
def test_no_rows_and_one_row(tables: Tables, n: int) -> None:
    data = frame(10).head(n)
    codes = build_codes(tables, evaluation_of(tables.folder, data, features=("region", "age")))
    assert codes.n == n
    assert all(found.table.sum() == n for found in break_down_all(codes).values())


def test_old_sidecars_make_room(tmp_path: Path) -> None:
    home = Tables(tmp_path)
    evaluations = [evaluation_of(tmp_path, frame(k), features=("region",)) for k in (200_000, 210_000)]
    for evaluation in evaluations:
        build_codes(home, evaluation)
    newest = sum(file.stat().st_size for file in codes_folder(home, evaluations[1]).iterdir()) / 2**20
    assert prune_codes(home, 3 * int(newest + 1)) == 0
    assert prune_codes(home, int(newest + 1)) == 1
    assert [open_codes(home, evaluation) is None for evaluation in evaluations] == [True, False]
