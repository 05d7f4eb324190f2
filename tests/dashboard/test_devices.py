"""Which devices get an engine, with a driver's tool that tells what the test says."""

import pytest

from dashboard.devices import engine_devices, engine_names, gpu_count


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Put an nvidia-smi before all others that lists so many GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(count):
        lines = "".join(f"echo 'GPU {n}: NVIDIA Test (UUID: GPU-{n})'\n" for n in range(count))
        tool = tmp_path / "nvidia-smi"
        tool.write_text("#!/bin/sh\n" + lines)
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    return install


def test_every_gpu_gets_an_engine(driver, monkeypatch):
    driver(3)
    assert engine_devices("auto") == engine_devices("cuda") == ("cuda:0", "cuda:1", "cuda:2")
    assert engine_devices("cuda:1") == ("cuda:1",)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert engine_devices("auto") == ("cuda:0", "cuda:1")


def test_one_or_none_is_left_to_the_engine(driver, monkeypatch):
    driver(1)
    assert engine_devices("auto") == ("auto",)
    monkeypatch.setenv("PATH", "/nowhere")
    assert gpu_count() == 0
    assert engine_devices("auto") == ("auto",)
    assert engine_devices("cuda") == ("cuda",)


def test_a_list_is_taken_as_it_is():
    assert engine_devices("cpu, cpu") == ("cpu", "cpu")
    assert engine_names(("cpu", "cpu", "cuda:0")) == ("engine", "engine-1", "engine-2")
