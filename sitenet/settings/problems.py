"""Turns validation errors into one line each: the key, the value and what would be right."""

import difflib
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from sitenet.errors import UserError

S = TypeVar("S", bound=BaseModel)


def validate(section: type[S], values: Any, where: str) -> S:
    """Validates one section.

    Args:
        section: The closed section.
        values: What the user wrote.
        where: Key of the section in the configuration, for messages.

    Raises:
        UserError: One line for each problem.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join(_line(section, problem, where) for problem in error.errors())) from None


def in_short(error: ValidationError) -> str:
    """What is wrong, without the values: for settings that no user wrote."""
    problems = [(".".join(map(str, problem["loc"])), problem["msg"]) for problem in error.errors()]
    return "; ".join(": ".join(filter(None, [key, said.removeprefix("Value error, ")])) for key, said in problems)


def unknown(what: str, value: object, valid: Iterable[object]) -> str:
    """Message for a name that is not among the `valid` names."""
    names = [str(name) for name in valid]
    close = difflib.get_close_matches(str(value), names, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"{what} '{value}' is unknown{hint} (valid: {', '.join(names)})"


def _line(section: type[BaseModel], problem: Any, where: str) -> str:
    path, owner = _locate(section, problem["loc"])
    key = ".".join(filter(None, [where, *path]))
    match problem["type"]:
        case "extra_forbidden":
            return unknown("configuration key", key, [_sibling(key, name) for name in owner.model_fields])
        case "missing":
            return f"configuration key '{key}' is missing"
        case "union_tag_not_found":
            tag = problem["ctx"]["discriminator"].strip("'")
            return f"configuration key '{key}.{tag}' is missing"
        case "union_tag_invalid":
            tag, context = problem["ctx"]["discriminator"].strip("'"), problem["ctx"]
            valid = context["expected_tags"].replace("'", "").split(", ")
            return unknown(f"configuration key '{key}.{tag}': value", context["tag"], valid)
    message = problem["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    message = message.replace("valid dictionary or object to extract fields from", "mapping")
    return f"configuration key '{key}' has the value {problem['input']!r}: {message[0].lower()}{message[1:]}"


def _locate(section: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel]]:
    """The keys that lead to a problem, as the user wrote them, and the section that contains it.

    Pydantic's locations also contain the chosen member of a union, which is not a key.
    """
    path: list[str] = []
    owner = section
    members: tuple[type[BaseModel], ...] = ()
    for name in location:
        chosen = [member for member in members if _tag(member, name)]
        if chosen:
            owner, members = chosen[0], ()
            continue
        path.append(str(name))
        field = owner.model_fields.get(str(name))
        members = _sections(field.annotation) if field else ()
        if len(members) == 1:
            owner, members = members[0], ()
    return path, owner


def _sections(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The sections that a field's type allows."""
    candidates = get_args(annotation) or (annotation,)
    return tuple(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))


def _tag(member: type[BaseModel], name: int | str) -> bool:
    """Whether `name` is the tag that selects this member of a union."""
    literals = (get_args(field.annotation) for field in member.model_fields.values())
    return any(name in values for values in literals)


def _sibling(key: str, name: str) -> str:
    return ".".join([*key.split(".")[:-1], name])
