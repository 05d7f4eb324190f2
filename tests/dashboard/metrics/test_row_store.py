"""The plain columns beside the codes: which are kept, and values by position over several batches."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.metrics.row_store import RowStore, RowWriter, kept_columns

N = 1000


def test_what_is_short_is_kept_and_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = {
        "x": pa.array(rng.normal(size=N), mask=rng.random(N) < 0.1),
        "name": [f"name {k}" for k in range(N)],
        "long": ["word " * 40 + str(k) for k in range(N)],
        "picture": [b"\x89PNG" + bytes([k % 250]) for k in range(N)],
        "set": [[str(k)] for k in range(N)],
        "coded": ["a"] * N,
        "flag": rng.random(N) < 0.5,
    }
    table, path = pa.table(data), tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=300)
    names = kept_columns(path, ["coded"])
    assert names == ["x", "name", "flag"]
    with RowWriter(tmp_path, table.schema, names) as writer:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=170):
            writer.write(batch)
    store = RowStore(tmp_path, tuple(names), tuple(writer.starts))
    numbers = [999, 0, 170, 169, 170, 500]
    want = table.take(pa.array(numbers))
    assert store.at(["name", "x"], numbers) == [want["name"].to_pylist(), want["x"].to_pylist()]
    _, missing = store.numbers("x", np.array([0, 169, 170, 999])) or (None, None)
    assert missing is not None and missing.tolist() == [table["x"][k].as_py() is None for k in (0, 169, 170, 999)]
    found, gaps = store.numbers("flag") or (None, None)
    assert gaps is None and found.tolist() == [int(v) for v in data["flag"]]
    assert store.numbers("name") is None
