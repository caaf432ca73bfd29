"""Writes the result page of a benchmark."""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from sitenet import __version__
from sitenet.evaluation.attention.analysis import AttentionAnalysis
from sitenet.evaluation.page import leaderboard
from sitenet.evaluation.page.attention import attention_charts, attention_section
from sitenet.evaluation.page.charts import Chart
from sitenet.evaluation.page.classes import reliability_chart, roc_chart
from sitenet.evaluation.page.crystals import TestCrystals
from sitenet.evaluation.page.glossary import glossary
from sitenet.evaluation.page.groups import GROUPINGS, element_chart, group_chart, group_errors, worst_group
from sitenet.evaluation.page.parity import cumulative_chart, parity_chart, signed_chart
from sitenet.evaluation.page.shift import shift_content
from sitenet.evaluation.page.training import COSTS, cost_chart, curves_chart, setting_charts
from sitenet.evaluation.results import Results
from sitenet.evaluation.runs import LeaderboardRow
from sitenet.evaluation.statistics.ranges import parity_range
from sitenet.evaluation.tables.footer import footer
from sitenet.evaluation.tables.formats import error_digits, fixed
from sitenet.evaluation.tables.trials import trials_table
from sitenet.files import write_text
from sitenet.tasks import REGRESSION

MAX_MODELS = 30  # with charts of their own; the table has all of them
N_WORST = 20
MAX_FAILURES = 200
MAX_TRIALS = 1000
# The charts of the predictions of one model.
PREDICTION_CHARTS = {"regression": ("parity", "signed"), "classification": ("roc", "reliability")}


def write_page(
    results: Results,
    crystals: TestCrystals,
    config: Mapping[str, Any],
    path: Path | str,
    attention: AttentionAnalysis | None = None,
) -> None:
    """Writes one HTML file that needs no other.

    Its size does not grow with the number of crystals: charts show densities and a limited number of points.

    Args:
        results: Results of the finished runs.
        crystals: What is known of the crystals.
        config: The resolved configuration.
        path: The file.
        attention: The analysis of attention, which has a section where runs were analysed.
    """
    analysis = attention or AttentionAnalysis(results, {}, {})
    content = _content(results, crystals, analysis) | {"config": _configuration(config)}
    write_text(path, _environment().get_template("page.html.j2").render(content))


def _content(results: Results, crystals: TestCrystals, analysis: AttentionAnalysis) -> dict[str, Any]:
    """What the template of the page reads, without the configuration."""
    models, charts = _models(results, crystals)
    settings = setting_charts(results)
    charts |= _training(results) | {f"setting/{name}": chart for name, chart in settings.items()}
    charts |= attention_charts(analysis)
    shift, shift_charts = shift_content(results, MAX_MODELS)
    return {
        "results": results,
        "name": results.benchmark,
        "target": results.manifest.target.replace("_", " "),
        "unit": results.unit,
        "in_unit": f" ({results.unit})" if results.task.score.has_unit else "",
        "task": results.task,
        "shown": PREDICTION_CHARTS[results.task.name],
        "answers": leaderboard.answers(results),
        "heads": leaderboard.heads(results),
        "rows": leaderboard.rows(results),
        "models": models,
        "shift": shift,
        "attention": attention_section(analysis),
        "has_files": bool((crystals.facts["file"] != "").any()),
        "glossary": glossary(results.task.name, shift is not None),
        "costs": COSTS,
        "groupings": [g for g in GROUPINGS if any(f"group-{g.key}/{model['index']}" in charts for model in models)],
        "settings": [(name, name) for name in settings],
        "charts": {key: chart.to_json() for key, chart in (charts | shift_charts).items()},
        "trials": _trials(results),
        "failures": results.failures[:MAX_FAILURES],
        "failure_kinds": Counter(failure.kind for failure in results.failures).most_common(),
        "notes": [line.removeprefix("- ").partition(": ")[::2] for line in footer(results).splitlines()],
        "versions": _versions(results),
        "version": __version__,
        "libraries": _libraries(),
    }


def _models(results: Results, crystals: TestCrystals) -> tuple[list[dict[str, Any]], dict[str, Chart]]:
    """The models with charts of their own, best first, and these charts."""
    unit, score = results.unit, results.task.crystal_error
    rows = [(i, row) for i, row in enumerate(results.standings.rows) if row.runs][:MAX_MODELS]
    titles = {
        grouping.key: grouping.title.format(quantity=results.manifest.quantity.replace("_", " "))
        for grouping in GROUPINGS
    }
    limits: tuple[float, float] | None = None
    models: list[dict[str, Any]] = []
    charts: dict[str, Chart] = {}
    absolute: dict[str, pd.Series] = {}
    for i, row in rows:
        errors = crystals.errors(row)
        limits = limits or parity_range(errors["target"], errors["prediction"])
        groups = group_errors(errors, results.manifest)
        overall = float(errors["error"].mean())
        absolute[row.model] = errors["error"].quantile(np.linspace(0, 1, 2001))
        charts |= {f"{name}/{i}": chart for name, chart in _predictions(results, row, errors, limits).items()}
        charts |= {f"elements/{i}": element_chart(errors, score, unit)}
        charts |= {
            f"group-{key}/{i}": group_chart(own, titles[key], overall, score, unit) for key, own in groups.items()
        }
        digits = error_digits(pd.Series([overall]))
        models.append(
            {
                "index": i,
                "name": row.model,
                "where": _where(row.model, groups, titles, overall, results),
                "outside": int((~errors["target"].between(*limits) | ~errors["prediction"].between(*limits)).sum()),
                "worst": errors.nlargest(N_WORST, "error").to_dict("records"),
                "digits": digits,
            }
        )
    together = {"cumulative": cumulative_chart(absolute, unit)} if results.task is REGRESSION else {}
    return models, charts | together


def _predictions(
    results: Results, row: LeaderboardRow, errors: pd.DataFrame, limits: tuple[float, float]
) -> dict[str, Chart]:
    """The charts of one model's predictions, by the names of `PREDICTION_CHARTS`."""
    if results.task is not REGRESSION:
        return {"roc": roc_chart(row), "reliability": reliability_chart(row)}
    target, unit = results.manifest.target.replace("_", " "), results.unit
    return {"parity": parity_chart(errors, target, unit, limits), "signed": signed_chart(errors, unit)}


def _training(results: Results) -> dict[str, Chart]:
    """Charts of costs and of errors by epoch."""
    curves = curves_chart(results)
    return {f"cost/{cost}": cost_chart(results, cost) for cost in COSTS} | ({"curves": curves} if curves else {})


def _where(
    model: str, groups: Mapping[str, pd.DataFrame], titles: Mapping[str, str], overall: float, results: Results
) -> str:
    """The short answer to where a model fails."""
    worst, score, unit = worst_group(groups), results.task.crystal_error, results.unit
    text = f"The {score.label} of {model} over all test crystals is {score.amount(f'{overall:.3g}', unit)}."
    if worst is None:
        return text
    key, name, group = worst
    largest = score.amount(f"{group['error']:.3g}", unit)
    return (
        f"{text} Of the groups below, it is largest {titles[key]}, for “{name}”: {largest} "
        f"({group['n']:,.0f} crystals)."
    )


def _trials(results: Results) -> pd.DataFrame:
    """Trials with the settings that vary, at most `MAX_TRIALS`; missing values are blank."""
    table = trials_table(results).head(MAX_TRIALS)
    kept = [name for name in map(str, table.columns) if "." not in name or table[name].astype(str).nunique() > 1]
    kept = [name for name in kept if "_fold" not in name]
    shown = table[kept].astype(object)
    return shown.where(shown.notna(), "")


def _configuration(config: Mapping[str, Any]) -> str:
    """As YAML, without the trials, and without the folders of files: where they lie is nobody's business."""
    shown = {key: _without_folders(value) for key, value in config.items() if key != "trials"}
    return yaml.safe_dump(shown, sort_keys=False)


def _without_folders(value: Any) -> Any:
    """A value with the names alone of the files that absolute paths in it name."""
    if isinstance(value, Mapping):
        return {key: _without_folders(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(own) for own in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _versions(results: Results) -> dict[str, str]:
    """Versions of the software that the runs used."""
    found: dict[str, set[str]] = {}
    for run in results.runs:
        for name, version in run.result.versions.items():
            found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sitenet.evaluation.page", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value, digits: fixed(digits)(value)
    environment.filters["short"] = lambda value: f"{value:.4g}" if isinstance(value, float) else value
    return environment


def _libraries() -> dict[str, str]:
    """Source of what the page embeds, from packages that the lock file pins."""
    tables = files("itables") / "html"
    own = files("sitenet.evaluation.page") / "template"
    return {
        "plotly": get_plotlyjs(),
        "datatables": (tables / "dt_bundle.js").read_text("utf-8"),
        "datatables_style": (tables / "dt_bundle.css").read_text("utf-8"),
        "script": (own / "page.js").read_text("utf-8"),
        "style": (own / "page.css").read_text("utf-8"),
    }
