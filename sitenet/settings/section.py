"""Base class and field types of all configuration sections."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sitenet.errors import plain

Share = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[int, Field(ge=1, le=4096)]
_EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d{1,3}")


class Section(BaseModel):
    """Base of all sections: immutable; unknown keys, infinity, NaN and truth values for numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: cls._without_truth(name, value) for name, value in values.items()}

    @classmethod
    def _without_truth(cls, name: str, value: Any) -> Any:
        """For a number, true as text: Pydantic would take it for 1, and refuses text with the key."""
        types = _types(cls.model_fields[name].annotation) if name in cls.model_fields else []
        if bool in types or not {int, float}.intersection(types):
            return value
        if isinstance(value, list | tuple):
            return [cls._without_truth(name, item) for item in value]
        return str(value).lower() if isinstance(value, bool) else value

    @classmethod
    def mappings(cls) -> frozenset[str]:
        """Keys whose value is a mapping with keys of the user's own, each of which can be scanned."""
        return frozenset(name for name, field in cls.model_fields.items() if get_origin(field.annotation) is dict)

    def check_with(self, sections: Mapping[str, "Section"]) -> None:
        """Raises ValueError where the section contradicts others of its trial, given by name; by default never."""


def with_numbers(value: Any) -> Any:
    """A value, or a list, in which 1e-4 is a number: YAML 1.1 takes it for text, since it has no point."""
    if isinstance(value, list):
        return [with_numbers(item) for item in value]
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def _types(annotation: Any) -> list[Any]:
    members = get_args(annotation)
    return [type_ for member in members for type_ in _types(member)] if members else [annotation]


def _input_path(path: str) -> str:
    if plain(path) != path:
        raise ValueError("a path has no control characters")
    if set("{}") & set(path):
        raise ValueError("Snakemake takes braces in a path for wildcards; rename the file or folder, or link to it")
    return path


InputPath = Annotated[str, Field(min_length=1), AfterValidator(_input_path)]
# What a user calls a model; tables, figures and the page show it.
RowName = Annotated[str, Field(pattern=r"^[\w.+-]([\w.+ -]{0,58}[\w.+-])?$")]
