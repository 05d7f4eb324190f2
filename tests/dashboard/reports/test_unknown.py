"""Where an answer becomes unknown: the tag of the run, its metadata, the user; anything else is refused or ignored."""

import pytest

from dashboard.errors import BadQuery
from dashboard.reports.unknown import METADATA, TAG, Unknown, unknown_of
from mlflow_runs.records import ModelInfo
from tests.dashboard.reports.conftest import row_of


@pytest.mark.parametrize(
    ("tags", "metadata", "asked", "expected"),
    [
        ({}, {}, "", Unknown(0.0, 0.0)),
        ({}, {METADATA: 0.6}, "", Unknown(0.6, 0.6)),
        ({TAG: "0.7"}, {METADATA: 0.6}, "", Unknown(0.7, 0.7)),
        ({TAG: "0.7"}, {}, "0", Unknown(0.0, 0.7)),
        ({TAG: "seventy"}, {}, "0.25", Unknown(0.25, 0.0)),
        ({TAG: "7"}, {}, "", Unknown(0.0, 0.0)),
    ],
)
def test_the_user_wins_over_the_tag_and_the_tag_over_the_metadata(tags, metadata, asked, expected):
    run = row_of("r1", tags=tags, model_info=ModelInfo("m", "m", metadata=metadata))
    assert unknown_of(run, asked) == expected


@pytest.mark.parametrize("asked", ["1.5", "-0.1", "nan", "often"])
def test_what_is_no_share_is_named(asked):
    with pytest.raises(BadQuery, match=asked):
        unknown_of(row_of("r1"), asked)
