"""Writes the page that explains one crystal: one HTML file that needs no network and no other file."""

import json
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from sitenet import __version__
from sitenet.files import write_text
from sitenet.prediction.explain.explanation import Explanation
from sitenet.prediction.explain.training_crystals import SHORTLIST


def write_explanation(explanation: Explanation, path: Path) -> None:
    """Writes the page.

    Raises:
        UserError: The file cannot be written.
    """
    page = _environment().get_template("explain.html.j2")
    data = {
        "unit": explanation.unit,
        "atoms": explanation.atoms,
        "edges": explanation.edges,
        "heads": explanation.heads,
        "classes": [asdict(own) for own in explanation.classes],
    }
    text = page.render(
        it=explanation,
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        shortlist=SHORTLIST,
        version=__version__,
        libraries=_libraries(),
    )
    write_text(path, text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sitenet.prediction.explain", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["rounded"] = lambda value, digits: f"{value:.{digits}f}"
    environment.filters["signed"] = lambda value: f"{value:+.3f}"
    return environment


def _libraries() -> dict[str, str]:
    """What the page embeds: its script and style, the style of the result page, and the viewer with its licence."""
    own, result_page = files("sitenet.prediction.explain") / "template", files("sitenet.evaluation.page") / "template"
    return {
        "viewer": (own / "3Dmol-min.js").read_text("utf-8"),
        "viewer_licence": (own / "3Dmol-LICENSE.txt").read_text("utf-8"),
        "script": (own / "explain.js").read_text("utf-8"),
        "style": (result_page / "page.css").read_text("utf-8") + (own / "explain.css").read_text("utf-8"),
    }
