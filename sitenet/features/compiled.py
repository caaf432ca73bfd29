"""Where numba keeps compiled functions, which must be settled before the first of them is declared."""

import logging
import os
import sys
import tempfile
from pathlib import Path

logger = logging.getLogger("sitenet")


def choose_cache() -> None:
    """Lets numba use a temporary folder where neither the package nor the user's cache can be written.

    Numba would refuse to import the package there, as in a container or on a node without a home.
    """
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    package = Path(__file__).parent / "__pycache__"
    if os.environ.get("NUMBA_CACHE_DIR") or any(_is_writable(folder) for folder in (package, user_cache / "numba")):
        return
    folder = Path(tempfile.gettempdir()) / f"sitenet-numba-{os.getuid()}"
    if not _is_own(folder):  # what another user wrote there would be run
        folder = Path(tempfile.mkdtemp(prefix="sitenet-numba-"))
    logger.warning("neither %s nor %s can be written: compiled functions go to %s", package, user_cache, folder)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:  # read the environment before
        sys.modules["numba"].config.CACHE_DIR = str(folder)


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _is_own(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not folder.is_symlink() and not status.st_mode & 0o022
