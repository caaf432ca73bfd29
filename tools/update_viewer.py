"""Updates the viewer of `sitenet explain`: `python tools/update_viewer.py 2.5.5`, with a version of 3Dmol.js.

`npm pack` downloads the package 3dmol and checks it against the registry. Its minified file and its licence are copied
into the template folder, as they are. The test of the page looks at the result in a browser.
"""

import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

TEMPLATE = Path(__file__).parents[1] / "sitenet" / "prediction" / "explain" / "template"
FILES = {"package/build/3Dmol-min.js": "3Dmol-min.js", "package/LICENSE": "3Dmol-LICENSE.txt"}


def update(version: str) -> None:
    """Replaces the files by those of a version."""
    with TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"3dmol@{version}"], cwd=folder, check=True)
        (packed,) = Path(folder).glob("*.tgz")
        with tarfile.open(packed, encoding="utf-8") as archive:
            for member, name in FILES.items():
                content = archive.extractfile(member)
                assert content is not None
                (TEMPLATE / name).write_bytes(content.read())


if __name__ == "__main__":
    update(*sys.argv[1:])
