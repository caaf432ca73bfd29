from pathlib import Path

import pytest

from tests.golden.all import GOLDEN
from tests.golden.golden import Golden, differences


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_numbers_are_golden(golden: Golden, tmp_path: Path) -> None:
    problem = golden.problem(tmp_path)
    if problem:
        pytest.fail(problem, pytrace=False)


def test_every_difference_is_told() -> None:
    golden = {"a": [1, 2.0], "b": "x", "gone": None, "whole": 1}
    found = {"a": [1, 2.5], "b": "x", "whole": 1.0, "more": [0]}
    assert list(differences(found, golden, 0.4)) == [
        "a, 1: 2.5 instead of 2.0",
        "gone: missing",
        "whole: 1.0 instead of 1",
        "more: new, [0]",
    ]
    assert not list(differences([2.5, "x"], [2.0, "x"], 0.5))
    assert list(differences([1], [1, 2], 0)) == [": [1] instead of [1, 2]"]
    assert list(differences({"a": float("nan")}, {"a": 1.0}, 1.0)) == ["a: nan instead of 1.0"]
