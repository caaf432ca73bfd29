"""A private SLURM cluster of one node on this machine: controller, node daemon and munge, without systemd.

Everything lies in one folder and on free ports, so that it touches no other SLURM on the machine. By hand:

    python -m tests.slurm.cluster start /tmp/cluster
    export SLURM_CONF=/tmp/cluster/slurm.conf
    sinfo
    python -m tests.slurm.cluster stop /tmp/cluster
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

CPUS = 2
COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
FAKE_GPU = "/dev/zero"  # SLURM hands out device files; which device it is concerns only what opens it
CARD = "card:1"  # the one piece of a resource that SLURM hands out as it does GPUs, and that trainings take for none
MEMORY_FOR_OTHERS_MB = 500

CONFIGURATION = """\
ClusterName=sitenet
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
MinJobAge=3600
SlurmdTimeout=10
ReturnToService=2
KillWait=2
GresTypes=gpu,card
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:fake:1,{card}
PartitionName=main Nodes=node Default=YES MaxTime=INFINITE
"""


class Cluster:
    """The cluster whose files lie in `folder`; it survives this object and is ended by `stop`."""

    def __init__(self, folder: Path):
        self.folder = folder

    @staticmethod
    def obstacle() -> str | None:
        """Why no cluster can run here, or None."""
        missing = [command for command in COMMANDS if not shutil.which(command, path=_PATH)]
        if missing:
            return f"{', '.join(missing)} not installed (Debian packages slurm-wlm and munge)"
        return None if os.geteuid() == 0 else "slurmd needs root"

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which SLURM's commands talk to this cluster."""
        outer = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        path = f"{self.folder / 'bin'}:{_PATH}"
        return outer | {"PATH": path, "SLURM_CONF": str(self._configuration)}

    @property
    def _configuration(self) -> Path:
        return self.folder / "slurm.conf"

    def start(self) -> None:
        """Starts munge, the controller and the node daemon, and waits until the node takes jobs."""
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir(parents=True)
        self._configure()
        self._wrap_srun()
        self._start_munge()
        self._run("slurmctld")
        self.start_node()

    def start_node(self) -> None:
        """Starts the node daemon and waits until the controller counts on it."""
        self._run("slurmd", "-N", "node")
        self._wait("the node to be up", lambda: self.node_state().split("+")[0] in ("IDLE", "MIXED", "ALLOCATED"))

    def stop_node(self) -> None:
        """Ends the node daemon; job steps go on."""
        self._end("slurmd")

    def stop(self) -> None:
        """Cancels all jobs of this cluster and ends its daemons, and nothing else."""
        with suppress(TimeoutError):
            if self._pid("slurmctld") and not self._pid("slurmd"):
                self.start_node()  # it alone ends the jobs of a node that is down
            self.cancel_all()
        for daemon in ("slurmd", "slurmctld", "munged"):
            self._end(daemon)

    def node_state(self) -> str:
        """State of the node as the controller sees it, "IDLE" for example; empty while it does not answer."""
        return self._call("sinfo", "--noheader", "--format=%T").upper().rstrip("*")

    def jobs(self, fields: str = "%k", states: str = "all") -> list[str]:
        """One line for each job since the start, unless a state is named; by default its comment."""
        return self._call("squeue", "--noheader", f"--states={states}", f"--format={fields}").splitlines()

    def cancel(self, job: str) -> None:
        """Cancels one job, as its user would."""
        self._run("scancel", job)

    def cancel_all(self) -> None:
        """Cancels all jobs and waits until they have ended."""
        self._call("scancel", "--user", "root")
        self._wait("jobs to end", lambda: not self._call("squeue", "--noheader"))

    def state(self, job: str) -> str:
        """Last state of a job, "TIMEOUT" for example."""
        return self._call("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T")

    def _configure(self) -> None:
        host = socket.gethostname().split(".")[0]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - MEMORY_FOR_OTHERS_MB
        controller_port, node_port = _free_ports(2)
        text = CONFIGURATION.format(
            host=host,
            folder=self.folder,
            controller_port=controller_port,
            node_port=node_port,
            cpus=CPUS,
            memory=memory,
            card=CARD,
        )
        self._configuration.write_text(text)
        (self.folder / "gres.conf").write_text(
            f"NodeName=node Name=gpu Type=fake File={FAKE_GPU}\nNodeName=node Name=card Count=1\n"
        )

    def _wrap_srun(self) -> None:
        """Snakemake's job step hides SLURM_CONF from `srun`, which then looks in /etc/slurm."""
        wrapper = self.folder / "bin" / "srun"
        srun = shutil.which("srun", path=_PATH)
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self._configuration} exec {srun} "$@"\n')
        wrapper.chmod(0o755)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = {"key-file": key} | {
            option: self.folder / f"munge.{suffix}"
            for option, suffix in [
                ("socket", "socket"),
                ("log-file", "log"),
                ("seed-file", "seed"),
            ]
        }
        files["pid-file"] = self.folder / "munged.pid"
        self._run("munged", "--force", *(f"--{option}={path}" for option, path in files.items()))

    def _run(self, *command: str) -> None:
        # Daemons keep their terminal's pipes open, which a captured output would wait for.
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def _call(self, *command: str) -> str:
        run = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return run.stdout.strip()

    def _end(self, daemon: str) -> None:
        pid = self._pid(daemon)
        if pid:
            os.kill(pid, signal.SIGTERM)
            self._wait(f"{daemon} to end", lambda: not self._pid(daemon))

    def _pid(self, daemon: str) -> int | None:
        """The daemon's process, None where it has ended, even if another program has got its number since."""
        try:
            pid = int((self.folder / f"{daemon}.pid").read_text())
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return None
        return pid if status.startswith(f"Name:\t{daemon}\n") and "State:\tZ" not in status else None

    @staticmethod
    def _wait(what: str, reached: Callable[[], bool], seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > limit:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            time.sleep(0.2)


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    action, folder = sys.argv[1:]
    {"start": Cluster.start, "stop": Cluster.stop}[action](Cluster(Path(folder).resolve()))
