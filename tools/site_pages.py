"""Hook of mkdocs.yml: pages that are made from the repository, and links that lead out of docs/.

The API reference has one page for each folder of the package, so that a new module appears by itself. A file of the
repository that a page links to, such as a configuration, is copied into the site as text; the same link works where
the page is read beside the code.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGE = "sitenet"
OUTWARD = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)")
API_INTRODUCTION = """\
# API reference

Written from the docstrings of the package, one page for each folder. Most users need none of it: the commands
`snakemake` and `sitenet` and the [configuration](../configuration.md) are the interface.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages, and the files that pages link to."""
    for path, content in {"changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), **api_pages()}.items():
        files.append(File.generated(config, path, content=content))
    for target in sorted({target for page in files.documentation_pages() for target in _outward(page)}):
        files.append(File.generated(config, _copy(target), content=(ROOT / target).read_bytes()))
    results = sorted(file.src_uri for file in files.documentation_pages() if file.src_uri.startswith("results/"))
    _fill(config.nav, {"Results": results, "API reference": list(api_pages())})
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Leads a link out of docs/ to the copy in the site."""

    def inward(link: re.Match[str]) -> str:
        target = _target(page.file, link[1])
        return f"]({posixpath.relpath(_copy(target), posixpath.dirname(page.file.src_uri))}" if target else link[0]

    return OUTWARD.sub(inward, markdown)


def api_pages() -> dict[str, str]:
    """Path and Markdown of an index and of a page for each folder of the package."""
    pages = {"api/index.md": API_INTRODUCTION}
    for folder in sorted({path.parent for path in (ROOT / PACKAGE).rglob("*.py")}):
        name = ".".join(folder.relative_to(ROOT).parts)
        modules = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
        entries = [f"::: {module}\n" for module in [name, *(f"{name}.{module}" for module in modules)]]
        pages[f"api/{name}.md"] = "\n".join([f"# `{name}`\n", *entries])
    return pages


def _outward(page: File) -> Iterator[str]:
    targets = (_target(page, link) for link in OUTWARD.findall(page.content_string))
    return (target for target in targets if target)


def _target(page: File, link: str) -> str | None:
    """Path in the repository of the file outside docs/ that a page links to, if there is one."""
    target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.src_uri), link))
    return target if not target.startswith(("docs/", "../")) and (ROOT / target).is_file() else None


def _copy(target: str) -> str:
    """Where the site has the copy; as text, which browsers show."""
    return f"files/{target}.txt"


def _fill(nav: Any, pages: dict[str, list[str]]) -> None:
    """Puts the pages into the empty entries of the navigation that have their names."""
    for entry in nav:
        for name in entry if isinstance(entry, dict) else ():
            entry[name] = pages.get(name, entry[name])
