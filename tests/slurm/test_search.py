"""A small search through profiles/slurm on a real SLURM: trainings are jobs, stages are decided beside the driver."""

from pathlib import Path

import pytest
import yaml

from sitenet.search.stage import Stage
from tests.e2e.test_search import CONFIG
from tests.slurm.cluster import Cluster
from tests.slurm.driver import NO_GPU, Driver

pytestmark = pytest.mark.slow


def test_a_search_ends_with_its_best_trial(cluster: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    folder = tmp_path / "slurm"
    earlier = cluster.jobs("%i %k")
    Driver(cluster, folder, *NO_GPU, config=config).finish()
    jobs = [job for job in cluster.jobs("%i %k") if job not in earlier]
    assert any("train_part" in job for job in jobs)
    assert not any("search_stage" in job for job in jobs)
    stages = [Stage.read(path) for path in sorted(folder.glob("results/search/small/*/fold0/stage*.json"))]
    assert [len(stage.trials) for stage in stages] == [2, 2, 2, 1]
    assert stages[-1].is_last
    assert (folder / "results/tables/small/search.md").exists()
