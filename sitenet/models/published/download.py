"""Downloads submissions to the Matbench leaderboard: predictions of published models for every official fold."""

import logging
from pathlib import Path

from sitenet.data.download import fetch
from sitenet.data.manifest import Download
from sitenet.files import sha256_of

log = logging.getLogger(__name__)
# At a fixed commit, so that the files never change.
BENCHMARKS = (
    "https://raw.githubusercontent.com/materialsproject/matbench/936176db18ca4cd7b38cbd957c017a5bac770c6b/benchmarks"
)


def download_submission(name: str, folder: Path, mirror: str | None = None) -> Download:
    """Downloads `<name>/results.json.gz` to `<name>.json.gz` in `folder`; an existing file is kept.

    Args:
        name: Folder of the submission in Matbench's `benchmarks/`.
        folder: Where the file goes.
        mirror: Folder or URL that holds the submission's folder, in place of the official one.

    Raises:
        UserError: The file cannot be downloaded.
    """
    path = folder / f"{name}.json.gz"
    if not path.exists():
        fetch(f"{(mirror or BENCHMARKS).rstrip('/')}/{name}/results.json.gz", path, None)
    sha256 = sha256_of(path)
    log.info("%s: SHA-256 %s", path, sha256)
    return Download(path=str(path), sha256=sha256)
