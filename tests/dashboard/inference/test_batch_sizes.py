"""The batch size found for a model is known again after a restart, for the device on which it was found."""

import time
from functools import partial

import numpy as np
import pytest

from dashboard.inference.batch_sizes import note, recorded
from dashboard.inference.predictor import Loaded, Predictor


def test_a_fresh_predictor_begins_with_the_size_that_the_last_one_found(tmp_path):
    record = tmp_path / "m.rows.json"

    def loader(model_id):
        def run(tensors, params):
            time.sleep(0.004 * len(tensors["x"]))
            return {"y": tensors["x"]}

        loaded = Loaded(run, 1, "fake", found=partial(note, record, "cpu"))
        loaded.rows = recorded(record, "cpu") or loaded.rows
        return loaded

    Predictor(loader, 2**20).run("slow", [{"x": np.zeros((128, 1))}], {})
    assert recorded(record, "cpu") == 32
    restarted = Predictor(loader, 2**20)
    restarted.run("slow", [{"x": np.zeros((64, 1))}], {})
    assert list(restarted.batch_rows) == [32, 32]
    assert recorded(record, "cuda:0") is None


@pytest.mark.parametrize("text", ["", "[]", '{"cpu": "many"}', '{"cpu": -3}'])
def test_a_broken_record_is_none(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    assert recorded(tmp_path / "r.json", "cpu") is None
    note(tmp_path / "r.json", "cpu", 8)
    note(tmp_path / "r.json", "cuda:0", 64)
    assert [recorded(tmp_path / "r.json", device) for device in ("cpu", "cuda:0")] == [8, 64]
