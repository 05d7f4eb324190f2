"""Which environments exist, are in use, and make room for others."""

import os
import time

from dashboard.inference import environments
from dashboard.inference.environments import Environment, digest_of, make_room, record, serving, want


def made(data_dir, name, size, used):
    """A finished environment that was used so many seconds ago."""
    environments.folder(data_dir, name).mkdir(parents=True)
    record(data_dir, Environment(name, ("x==1",), ("x==1",), size, time.time() - 10_000, 1.0))
    want(data_dir, name)
    moment = time.time() - used
    os.utime(environments.folder(data_dir, name) / "wanted", (moment, moment))


def test_the_digest_is_of_what_matters():
    assert digest_of(["b==1", "a>2"]) == digest_of(["a>2  # why", "b==1", "mlflow==2.0", "-r other.txt"])
    assert digest_of(["a==1"]) != digest_of(["a==2"])


def test_an_environment_is_ready_once_it_is_recorded(tmp_path):
    assert environments.ready(tmp_path, ["a==1"]) is None
    digest = digest_of(["a==1"])
    environments.folder(tmp_path, digest).mkdir(parents=True)
    assert environments.ready(tmp_path, ["a==1"]) is None
    record(tmp_path, Environment(digest, ("a==1",), ("a==1",), 5, 1.0, 2.0))
    assert environments.ready(tmp_path, ["a==1"]) == digest
    assert environments.environment(tmp_path, digest).installed == ("a==1",)


def test_only_what_was_wanted_lately_is_served(tmp_path):
    made(tmp_path, "new", 1, used=5)
    made(tmp_path, "old", 1, used=500)
    assert serving(tmp_path, idle=60) == ("new",)
    want(tmp_path, "old")
    assert serving(tmp_path, idle=60) == ("new", "old")


def test_the_longest_unused_makes_room_and_what_serves_stays(tmp_path):
    for name, used in (("serving", 5), ("older", 900), ("oldest", 1000), ("fresh", 950)):
        made(tmp_path, name, 40, used)
    assert make_room(tmp_path, 100, idle=60, keep="fresh") == ("oldest", "older")
    assert sorted(path.name for path in (tmp_path / "environments").iterdir()) == ["fresh", "serving"]
