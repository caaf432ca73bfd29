"""The documentation beside what it describes."""

from pathlib import Path

import yaml

from sitenet import __version__

ROOT = Path(__file__).parents[2]


def test_the_guide_names_every_configuration() -> None:
    guide = (ROOT / "docs" / "configs.md").read_text()
    names = [path.name for path in (ROOT / "configs").glob("*.yaml")]
    assert len(names) > 10
    assert [name for name in names if f"configs/{name}" not in guide] == []


def test_the_citation_is_of_this_software_and_names_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["type"], citation["title"], citation["version"]) == ("software", "sitenet", __version__)
    assert [each["doi"] for each in citation["references"]] == ["10.1039/D3DD00005B"]


def test_the_readme_fits_on_two_screens() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90
