"""Hides files from a command, with Linux namespaces, so that it cannot read what it is to be judged by."""

import logging
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger("sitenet")
# A user and a mount namespace of its own; nothing that is mounted there is seen outside. Where /proc may be mounted, a
# process namespace too, whose processes all end with the first one. It ends with this process, however that ends.
UNSHARE = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "--fork",
    "--kill-child",
)
VARIANTS = ((*UNSHARE, "--pid", "--mount-proc"), UNSHARE)
# Without capabilities, so that what hides the files cannot be unmounted.
SETPRIV = ("setpriv", "--no-new-privs", "--bounding-set", "-all", "--inh-caps", "-all")


def isolated(
    command: str, folder: Path, writable: Path, readable: Sequence[Path], hidden: Sequence[Path]
) -> list[str] | None:
    """The command in a namespace in which some files and folders are empty.

    Args:
        command: What a shell is to run.
        folder: Where it is started; it can be read.
        writable: A folder that the command writes to, inside what is hidden or not.
        readable: Files that the command reads, inside what is hidden or not.
        hidden: Files and folders to hide; those that do not exist are left out.

    Returns:
        Arguments of the process; None where this system has no such namespaces.
    """
    start = ["/bin/sh", "-c", command]
    if not (shutil.which("unshare") and shutil.which("setpriv")):
        log.info("unshare or setpriv, of util-linux, is missing")
        return None
    script = _script(folder.resolve(), writable.resolve(), [path.resolve() for path in readable], hidden)
    for unshare in VARIANTS:
        prefix = [*unshare, "/bin/sh", "-ec"]
        tried = subprocess.run([*prefix, f"{script}\n{shlex.join([*SETPRIV, 'true'])}"], capture_output=True)
        if not tried.returncode:
            return [*prefix, f"{script}\nexec {shlex.join([*SETPRIV, *start])}"]
    log.info("no namespaces: %s", " ".join(tried.stderr.decode(errors="replace").split())[:200])
    return None


def _script(folder: Path, writable: Path, readable: Sequence[Path], hidden: Sequence[Path]) -> str:
    """Shell commands that hide files: what stays visible is kept aside, and mounted again over what hides it."""
    found = {path.resolve() for path in hidden if path.exists()}
    covered = sorted(path for path in found if not any(other in path.parents for other in found))
    kept = [p for p in (folder, *readable, writable) if any(p.is_relative_to(other) for other in covered)]
    lines = ["aside=$(mktemp -d)", 'mount -t tmpfs tmpfs "$aside"']
    for number, path in enumerate(kept):
        make = "mkdir" if path.is_dir() else "touch"
        lines += [f'{make} "$aside/{number}"', f'mount --bind {_quoted(path)} "$aside/{number}"']
    for path in covered:
        hides = "-t tmpfs -o mode=755 tmpfs" if path.is_dir() else "--bind /dev/null"
        lines.append(f"mount {hides} {_quoted(path)}")
    for number, path in enumerate(kept):
        place = path if path.is_dir() else path.parent
        make = f"mkdir -p {_quoted(place)}" + ("" if path.is_dir() else f"; touch {_quoted(path)}")
        lines += [make, f'mount --bind "$aside/{number}" {_quoted(path)}']
        if path != writable:
            lines.append(f"mount -o remount,bind,ro {_quoted(path)}")
    return "\n".join([*lines, 'umount --recursive --lazy "$aside"', 'rmdir "$aside"', f"cd {_quoted(folder)}"])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
