"""What a model asks for beyond this environment."""

import importlib.metadata

import numpy as np

from dashboard.inference.requirements import clashes, unmet, wanted


def test_what_is_not_met_is_named_with_what_is_installed():
    lines = ["numpy>=1", "numpy<1.0", "surely-absent==1  # why", "-r other.txt", "", 'winonly; sys_platform == "win32"']
    assert unmet(lines) == (f"numpy<1.0 ({np.__version__} is installed)", "surely-absent==1 (not installed)")


def test_mlflow_itself_and_other_sources_are_left_out():
    lines = ["mlflow==2.1", "Mlflow_Skinny", "b==1", "a @ https://example.com/a.whl", "--index-url http://x", "./c"]
    assert wanted(lines) == ("b==1",)


def test_another_mlflow_alone_is_no_reason_for_an_environment():
    assert not clashes(["mlflow==1.0", f"numpy=={importlib.metadata.version('numpy')}"])
    assert clashes(["numpy==1.0"])
