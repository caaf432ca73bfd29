"""What a package that registers a model kind can do wrong."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from sitenet.errors import UserError
from sitenet.models import registry
from sitenet.models.registry import BUILT_IN, GROUP, model_kinds


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    model_kinds.cache_clear()
    yield
    model_kinds.cache_clear()


def register(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    found = EntryPoints([EntryPoint("mine", value, GROUP)])
    monkeypatch.setattr(registry, "entry_points", lambda group: found.select(group=group))


def test_the_built_in_kinds_are_called_as_their_folders() -> None:
    assert tuple(model_kinds()) == BUILT_IN


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_package:KIND", r"entry point 'mine' .*\(no_such_package:KIND\) cannot be imported: No module named"),
        ("sitenet.models.dummy:NOTHING", r"entry point 'mine' .* cannot be imported: .*NOTHING"),
        ("sitenet.models.dummy:DummySettings", r"entry point 'mine' .* is no ModelKind"),
        ("sitenet.models.dummy:KIND", r"entry point 'mine' .* registers the model kind 'dummy', which exists already"),
    ],
)
def test_a_wrong_entry_point_is_named(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    register(monkeypatch, value)
    with pytest.raises(UserError, match=message):
        model_kinds()
