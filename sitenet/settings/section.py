"""Base class and field types of all configuration sections."""

from collections.abc import Mapping
from typing import Annotated, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sitenet.errors import plain

Share = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[int, Field(ge=1, le=4096)]


class Section(BaseModel):
    """Base of all sections: immutable; unknown keys, infinity and NaN are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def mappings(cls) -> frozenset[str]:
        """Keys whose value is a mapping with keys of the user's own, each of which can be scanned."""
        return frozenset(name for name, field in cls.model_fields.items() if get_origin(field.annotation) is dict)

    def check_with(self, sections: Mapping[str, "Section"]) -> None:
        """Raises ValueError where the section contradicts others of its trial, given by name; by default never."""


def _input_path(path: str) -> str:
    if plain(path) != path:
        raise ValueError("a path has no control characters")
    if set("{}") & set(path):
        raise ValueError("Snakemake takes braces in a path for wildcards; rename the file or folder, or link to it")
    return path


InputPath = Annotated[str, AfterValidator(_input_path)]
# What a user calls a model; tables, figures and the page show it.
RowName = Annotated[str, Field(pattern=r"^[\w.+-]([\w.+ -]{0,58}[\w.+-])?$")]
