"""The quick benchmark through profiles/slurm on a real SLURM gives the tables of a local run."""

from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.driver import NO_GPU, Driver, run_locally, tables
from tests.workflow.running import ROOT

pytestmark = pytest.mark.slow

QUICK = ROOT / "configs" / "quick.yaml"
NAME = "mp_dielectric_gap_quick"
SUBMITTED = {
    "load_data",
    "split",
    "featurize",
    "composition_features",
    "train",
    "score",
    "baseline",
    "leaderboard",
    "figures",
}


def test_same_tables_as_a_local_run(cluster: Cluster, tmp_path: Path) -> None:
    earlier = cluster.jobs("%i %k")
    Driver(cluster, tmp_path / "slurm", *NO_GPU, config=QUICK).finish()
    jobs = [job for job in cluster.jobs("%i %k") if job not in earlier]
    print("\n".join(cluster.jobs("%i %T %k, %C CPUs, %m")))
    assert {rule for rule in SUBMITTED if any(rule in job for job in jobs)} == SUBMITTED
    run_locally(cluster, tmp_path / "local", QUICK)
    assert tables(tmp_path / "slurm", NAME) == tables(tmp_path / "local", NAME)
