"""What a process runs on: processor, memory and the versions that numbers depend on."""

import os
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path

from sitenet import __version__


def hardware() -> dict[str, str | int]:
    """Processor, usable cores and system of this machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
    }


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on."""
    return {
        "python": platform.python_version(),
        "sitenet": __version__,  # also where it runs from a checkout that is not installed
        "torch": version("torch"),
        "numpy": version("numpy"),
    }


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far, in MB (2^20 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike getrusage, not inherited from the process that started this one
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
