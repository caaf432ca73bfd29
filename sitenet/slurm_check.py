"""`make slurm-check`: tells before the first submission whether the SLURM cluster at hand suits a profile.

    python -m sitenet.slurm_check profiles/slurm

Prints one line for each problem and exits with status 1 where there is one. At last it runs a job of seconds
that asks for what a training asks for and imports what a training imports.
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sitenet.errors import UserError

COMMANDS = ("sbatch", "squeue", "sinfo", "srun", "scontrol")
WAIT_SECONDS = 60  # for a free node
MIN_JOB_AGE = 120  # seconds for which `squeue` has to remember a finished job
OPTIONS = {
    "slurm_account": "--account",
    "slurm_partition": "--partition",
    "qos": "--qos",
    "constraint": "--constraint",
    "gres": "--gres",
    "gpu": "--gpus",
    "cpus_per_task": "--cpus-per-task",
}
PROBE = "import torch, sitenet; print(torch.cuda.is_available(), torch.__version__, torch.version.cuda)"

Resources = Mapping[str, Any]


@dataclass(frozen=True)
class Partition:
    """What SLURM tells of a partition; `gpus` are the types it offers, "" one without a type."""

    default: bool
    up: bool
    gpus: frozenset[str]


def problems(profile: Mapping[str, Any]) -> Iterator[str]:
    """One line for each thing that would keep jobs of this profile from running here."""
    missing = [command for command in COMMANDS if not shutil.which(command)]
    if missing:
        yield f"cluster: {', '.join(missing)} not found; run this on a login node of a SLURM cluster"
        return
    ping = _call("scontrol", "ping")
    if ping.returncode or "is UP" not in ping.stdout:
        yield f"cluster: the controller does not answer: {_message(ping)}"
        return
    common: Resources = profile.get("default-resources") or {}
    train: Resources = {**common, **_of_trainings(profile, "set-resources", {}), **_pack(profile)}
    found = [
        *_status_problems(profile.get("slurm-status-command", "sacct")),
        *_packing_problems(_of_trainings(profile, "group-components", 1), train),
        *_request_problems("jobs", common),
        *_request_problems("trainings", train),
    ]
    yield from found or _environment_problems(train)


def _status_problems(command: str) -> Iterator[str]:
    """Whether the command that asks for the state of jobs knows it."""
    if command == "sacct":
        if not shutil.which("sacct") or _call("sacct", "--noheader").returncode:
            yield "status: there is no accounting here; set `slurm-status-command: squeue` in the profile"
        return
    age = re.search(r"MinJobAge\s*=\s*(\d+)", _call("scontrol", "show", "config").stdout)
    if age and int(age[1]) < MIN_JOB_AGE:
        yield f"status: squeue forgets jobs after {age[1]} s (MinJobAge); set `slurm-status-command: sacct`"


def _of_trainings(profile: Mapping[str, Any], option: str, default: Any) -> Any:
    """What an option of the profile says about trainings."""
    return (profile.get(option) or {}).get("train") or default


def _pack(profile: Mapping[str, Any]) -> Resources:
    """The CPUs of a job of several threads: those of all trainings that share it."""
    cpus = _of_trainings(profile, "group-components", 1) * _of_trainings(profile, "set-threads", 1)
    return {"cpus_per_task": cpus} if cpus > 1 else {}


def _packing_problems(runs: int, train: Resources) -> Iterator[str]:
    """Counts of a pack are added up, `gres` is not."""
    if runs > 1 and train.get("gpu"):
        yield f"packing: {runs} trainings a job with `gpu` each ask for {runs} GPUs; to share one, set `gres: gpu:1`"


def _request_problems(what: str, resources: Resources) -> Iterator[str]:
    """Whether partition and GPU exist, then whether SLURM would take such a job."""
    partitions = _partitions()
    valid = f"(valid: {', '.join(partitions)})"
    default = next((name for name, partition in partitions.items() if partition.default), None)
    name = resources.get("slurm_partition", default)
    if name is None:
        yield f"partition: none is the default, so `slurm_partition` must be set for {what} {valid}"
        return
    if name not in partitions:
        yield f"partition: '{name}', set for {what}, is unknown {valid}"
        return
    if not partitions[name].up:
        yield f"partition: '{name}', set for {what}, is down"
    gpu, offered = _requested_gpu(resources), partitions[name].gpus
    if gpu is not None and not (offered if gpu == "" else gpu in offered):
        types = ", ".join(sorted(type or "of no type" for type in offered)) or "none"
        yield f"gpu: {what} ask for a GPU{gpu and f' {gpu!r}'}, partition '{name}' offers {types}"
        return
    test = _call("sbatch", "--test-only", *_options(resources), "--wrap=true")
    if test.returncode:
        yield f"partition: SLURM would refuse {what} ({' '.join(_options(resources))}): {_message(test)}"


def _environment_problems(train: Resources) -> Iterator[str]:
    """Whether this Python runs on a node, as a training would, and sees the GPU that it asked for."""
    limits = ("--ntasks=1", "--time=5", f"--immediate={WAIT_SECONDS}")
    probe = _call("srun", *limits, *_options(train), sys.executable, "-c", PROBE)
    if "Unable to allocate resources" in probe.stderr:
        yield f"environment: not checked, no node was free within {WAIT_SECONDS} s"
    elif probe.returncode:
        yield f"environment: {sys.executable} does not run on a node: {_message(probe)}"
    elif _requested_gpu(train) is not None and not probe.stdout.startswith("True"):
        _, torch, cuda = probe.stdout.split()
        yield f"environment: a training would get a GPU, but torch {torch} sees none (CUDA: {cuda})"


def _partitions() -> dict[str, Partition]:
    """The partitions that this user sees, by name."""
    rows: dict[str, Partition] = {}
    for line in _call("sinfo", "--noheader", "--format=%P|%a|%G").stdout.splitlines():
        name, state, gres = line.strip().split("|")
        gpus = frozenset(re.findall(r"\bgpu(?::([A-Za-z][\w.-]*))?(?=:\d|[,(]|$)", gres))
        key, earlier = name.rstrip("*"), rows.get(name.rstrip("*"))
        rows[key] = Partition(name.endswith("*"), state == "up", gpus | (earlier.gpus if earlier else frozenset()))
    return rows


def _requested_gpu(resources: Resources) -> str | None:
    """Type of the GPU that is asked for, "" for any, None without one."""
    if resources.get("gpu"):
        return str(resources.get("gpu_model", ""))
    gres = re.fullmatch(r"gpu(?::([A-Za-z][\w.-]*))?(?::\d+)?", str(resources.get("gres", "")))
    return (gres[1] or "") if gres else None


def _options(resources: Resources) -> list[str]:
    """Options of sbatch and srun; numbers that are expressions of the attempt are left to the workflow."""
    values = {OPTIONS[name]: value for name, value in resources.items() if name in OPTIONS}
    if "gpu_model" in resources:
        values["--gpus"] = f"{resources['gpu_model']}:{resources.get('gpu', 1)}"
    return [
        *(f"{option}={value}" for option, value in values.items()),
        *shlex.split(resources.get("slurm_extra", "")),
    ]


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")


def _message(run: subprocess.CompletedProcess[str]) -> str:
    """The last line a command printed, without its own name in front."""
    lines = (run.stderr + run.stdout).strip().splitlines() or [f"exit code {run.returncode}"]
    return lines[-1].split("error: ")[-1]


def _profile(folder: Path) -> Mapping[str, Any]:
    path = folder / "config.yaml"
    try:
        profile = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(sorted(map(str, Path("profiles").glob("*")))) or "none"
        raise UserError(f"cannot read the profile {path}: {error.strerror} (profiles here: {known})") from None
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"the profile {path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(profile, dict):
        raise UserError(f"the profile {path} needs keys at top level, such as `executor: slurm`")
    return profile


def main() -> None:
    """Prints the problems of the profile named on the command line."""
    folder = Path(sys.argv[1])
    try:
        found = list(problems(_profile(folder)))
    except UserError as error:
        sys.exit(str(error))
    for line in found:
        print(line)
    if found:
        sys.exit(1)
    print(f"this cluster suits {folder}")


if __name__ == "__main__":
    main()
