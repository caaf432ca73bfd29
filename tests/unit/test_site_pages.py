"""Pages of the documentation that are made from the repository."""

from tools.site_pages import ROOT, api_pages


def test_the_api_reference_has_every_module_once() -> None:
    entries = [line for page in api_pages().values() for line in page.splitlines() if line.startswith("::: ")]
    files = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "sitenet").rglob("*.py"))
    modules = [".".join(path.parts).removesuffix(".__init__") for path in files]
    assert sorted(entries) == sorted(f"::: {module}" for module in modules)
