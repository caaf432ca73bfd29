"""Keys that stand twice in a configuration file."""

from pathlib import Path

import pytest

from sitenet.config.keys import check_keys
from sitenet.errors import UserError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' stands twice in this section, first in line 1"),
        ("a:\n  - {b: 1}\n  - {b: 1, b: 1}\n", "line 3: the key 'b' stands twice in this section, first in line 3"),
        ('{"a": {"b": 1, "b": 2}}', "line 1: the key 'b' stands twice"),
    ],
    ids=["top level", "in a list", "JSON"],
)
def test_a_doubled_key_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as refusal:
        check_keys([path])
    assert str(refusal.value).startswith(f"{path}, {said}")


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc: {<<: *x, b: 2}\n",
        "a: &x {b: 1}\nd: &y {e: 1}\nc:\n  <<: *x\n  <<: *y\n",
        "",
        '{\n\t"a": 1\n}',
        "[a, a]",
    ],
    ids=["merged and changed", "two merges", "empty", "JSON with tabs", "list"],
)
def test_what_is_no_doubled_key_passes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    check_keys([path])
