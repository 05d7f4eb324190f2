"""Several engines: a model stays with one, and another takes over while that is gone."""

from collections import Counter

from dashboard.inference.asking import Ask
from dashboard.inference.cards import ModelCard
from dashboard.inference.protocol import Message
from dashboard.inference.routing import Fleet, engine_names, preference
from dashboard.inference.wire import EngineLost


class Fake:
    """An engine that answers with its name, or is gone."""

    def __init__(self, name):
        self.name, self.gone = name, False

    def try_infer(self, _ask):
        if self.gone:
            raise EngineLost("refused")
        return Message({"by": self.name})

    def infer(self, _ask):
        return Message({"by": f"{self.name} after waiting"})


def ask(model_id):
    return Ask(ModelCard(model_id, "m", None, "r", "run", None, "table", ()), {}, 0.0)


def test_models_are_spread_evenly_and_always_the_same():
    engines = [Fake(name) for name in ("engine", "engine-1", "engine-2")]
    homes = {n: preference(f"m-{n}", engines)[0].name for n in range(3000)}
    assert homes == {n: preference(f"m-{n}", engines)[0].name for n in range(3000)}
    assert all(900 < count < 1100 for count in Counter(homes.values()).values())
    fewer = engines[:2]
    moved = [n for n in homes if homes[n] != preference(f"m-{n}", fewer)[0].name]
    assert {homes[n] for n in moved} == {"engine-2"}


def test_while_an_engine_is_gone_its_models_move_and_come_back():
    engines = [Fake("engine"), Fake("engine-1")]
    fleet = Fleet(engines)
    home = fleet.infer(ask("m-1")).header["by"]
    first, second = preference("m-1", engines)
    assert home == first.name
    first.gone = True
    assert fleet.infer(ask("m-1")).header["by"] == second.name
    second.gone = True
    assert fleet.infer(ask("m-1")).header["by"] == f"{first.name} after waiting"
    first.gone = False
    assert fleet.infer(ask("m-1")).header["by"] == first.name


def test_the_supervisor_tells_the_engines_and_one_is_assumed(tmp_path):
    assert engine_names(tmp_path) == ("engine",)
    (tmp_path / "run").mkdir()
    for text, names in (('["engine", "engine-1"]', ("engine", "engine-1")), ("[]", ("engine",)), ("{", ("engine",))):
        (tmp_path / "run" / "engines.json").write_text(text)
        assert engine_names(tmp_path) == names
