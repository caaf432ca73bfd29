"""What Snakemake says about a slip on the command line or in a file, as one line that says what would be right."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

import yaml

MISSING = re.compile(r"FileNotFoundError: \[Errno 2\] No such file or directory: '(.+)'")
EXCEPTION = re.compile(r"(?:\w+\.)*(\w+(?:Error|Exception|Exit)): ?(.*)")


def in_one_line(message: str, arguments: Sequence[str]) -> str:
    """The message as one line.

    Args:
        message: What Snakemake says, often with a traceback.
        arguments: What was typed behind `snakemake`.
    """
    files = _config_files(arguments)
    missing = MISSING.search(message)
    if missing and missing[1] in files:
        return _missing_file(missing[1], files)
    if "not valid JSON or YAML" in message or "ParserError" in message or "ScannerError" in message:
        problems = list(filter(None, map(_yaml_problem, [*files, "config.yaml"])))
        if problems:
            return problems[0]
    if "keys at top level" in message:
        return f"{' or '.join(files)}: a configuration needs keys at top level, such as `dataset:` and `grid:`"
    key = next((word for word in arguments if re.fullmatch(r"\w+(\.\w+)+=.*", word)), None)
    if "Config entry must start with a valid identifier" in message and key:
        return f"--config {key}: a key inside a section is written --config '{_nested(key)}'"
    if "Traceback (most recent call last)" in message:
        return _last_exception(message)
    return _flat(message)


def _config_files(arguments: Sequence[str]) -> list[str]:
    """The words that Snakemake takes for configuration files: all up to the next option."""
    files: list[str] = []
    taking = False
    for word in arguments:
        if word.startswith("-"):
            option, _, value = word.partition("=")
            taking = option in ("--configfile", "--configfiles")
            files += [value] if taking and value else []
        elif taking:
            files.append(word)
    return files


def _missing_file(path: str, files: Sequence[str]) -> str:
    if files.index(path) and not path.endswith((".yaml", ".yml", ".json")):
        return (
            f"'{path}' is taken for a configuration file, as is every word behind --configfile: "
            f"write a target first: snakemake {path} --cores 2 --configfile {files[0]}"
        )
    folder = Path(path).parent
    names = [str(folder / file.name) for file in folder.glob("*.yaml")] if folder.is_dir() else []
    close = difflib.get_close_matches(path, names, n=1)
    return f"configuration file '{path}' does not exist" + (f"; did you mean '{close[0]}'?" if close else "")


def _yaml_problem(path: str) -> str | None:
    try:
        yaml.safe_load(Path(path).read_text("utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        return f"{path}{place}: {error.problem or error.context}"
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return None


def _nested(entry: str) -> str:
    """`a.b=1` as Snakemake takes it: `a={b: 1}`."""
    key, _, value = entry.partition("=")
    first, *others = key.split(".")
    for name in reversed(others):
        value = f"{{{name}: {value}}}"
    return f"{first}={value}"


def _last_exception(message: str) -> str:
    found = [match for match in map(EXCEPTION.match, message.splitlines()) if match]
    return f"{found[-1][1]}: {found[-1][2]}" if found else _flat(message)


def _flat(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if not re.match(r'\s+File "', line)]
    return " ".join(filter(None, lines))
