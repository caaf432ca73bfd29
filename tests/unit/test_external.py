"""Commands in environments of their own: what they are given, what they cannot see, and how their failures read."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from sitenet.data.export import export_fold, export_structures
from sitenet.data.table import bundled_path, copy_rows
from sitenet.errors import UserError
from sitenet.models.external.settings import ExternalSettings
from sitenet.training.external import ExternalJob, run_external
from sitenet.training.isolation import isolated

ROOT = Path(__file__).parents[2]
NETWORKS = ROOT / "examples/networks"
MEAN = """
import csv, json, pathlib, sys
work = pathlib.Path(sys.argv[1])


def column(part, name):
    with (work / f"{part}.csv").open() as file:
        return [row[name] for row in csv.DictReader(file)]
targets = [float(target) for target in column("train", "target")]
mean = sum(targets) / len(targets)


def write(value=mean, parts=("test", "validation")):
    rows = [f"{id_},{value}" for part in parts for id_ in column(part, "id")]
    (work / "predictions.csv").write_text("\\n".join(["id,prediction", *rows]) + "\\n")
"""


@pytest.fixture
def job(tmp_path: Path) -> ExternalJob:
    """A job of eight crystals in a folder `results` like that of the workflow, with a command that does nothing yet."""
    data, export = tmp_path / "results/data", tmp_path / "results/data/export"
    (export / "fold0").mkdir(parents=True)
    ids = pd.read_parquet(bundled_path("mp_dielectric_gap"), columns=["id"])["id"].tolist()[:8]
    copy_rows(bundled_path("mp_dielectric_gap"), data / "structures.parquet", ids)
    parts = ["train"] * 4 + ["validation"] * 2
    table = pd.DataFrame({"id": ids, "target": [1.0, 2.0, 3.0, 4.0, 2.0, 5.0, 77.125, 88.125]})
    table[:6].assign(part=parts).to_parquet(data / "train.parquet")
    table[6:][["id"]].to_parquet(data / "test_inputs.parquet")
    table[6:].to_parquet(data / "test_targets.parquet")
    export_structures(data / "structures.parquet", export)
    export_fold(data / "train.parquet", data / "test_inputs.parquet", export / "fold0")
    (tmp_path / "model").mkdir()
    return ExternalJob(
        settings=ExternalSettings(folder=str(tmp_path / "model"), command=f"{sys.executable} train.py"),
        fold=0,
        seed=3,
        work=tmp_path / "results/runs/seed3/work",
        structures=[export / "structures.extxyz", export / "structures.json.gz"],
        parts=export / "fold0",
        dataset="mine",
        target="gap",
        unit="eV",
        non_negative=True,
        threads=2,
        device="cpu",
        hidden=[tmp_path / "results", tmp_path / "downloads"],
    )


def command(job: ExternalJob, text: str) -> ExternalJob:
    Path(job.settings.folder, "train.py").write_text(MEAN + text)
    return job


def needs_namespaces(job: ExternalJob) -> None:
    if isolated("true", Path(job.settings.folder), job.parts, [], []) is None:
        pytest.skip("this system gives no user and mount namespaces")


def test_a_command_gets_crystals_and_folds_and_its_predictions_are_read(job: ExternalJob) -> None:
    job = replace(job, settings=job.settings.model_copy(update={"parameters": {"depth": 3}}))
    run = run_external(command(job, "write()\nprint(json.dumps(json.loads((work / 'settings.json').read_text())))\n"))
    assert run.predictions["prediction"].tolist() == [2.5, 2.5]
    assert run.validation_error == pytest.approx((0.5 + 2.5) / 2)
    assert (run.n_train, run.n_validation, run.restarts) == (4, 2, 0)
    assert 0 < run.seconds < 600
    given = json.loads((job.work / "settings.json").read_text())
    assert given == {
        "parameters": {"depth": 3}, "seed": 3, "fold": 0, "target": "gap", "unit": "eV", "non_negative": True,
        "threads": 2, "device": "cpu", "restarts": 0,
    }  # fmt: skip
    assert sorted(path.name for path in job.work.iterdir()) == [
        "predictions.csv", "settings.json", "structures.extxyz", "structures.json.gz", "test.csv", "train.csv",
        "validation.csv",
    ]  # fmt: skip


def test_predictions_below_zero_become_zero_where_the_target_cannot_be(job: ExternalJob) -> None:
    run = run_external(command(job, "write(-1.0)\n"))
    assert run.predictions["prediction"].tolist() == [0.0, 0.0]
    assert run.validation_error == pytest.approx(3.5)
    below = run_external(replace(job, non_negative=False))
    assert below.predictions["prediction"].tolist() == [-1.0, -1.0]


def test_memory_is_that_of_the_command_and_its_children(job: ExternalJob) -> None:
    child = "import time; block = bytearray(300 * 2**20); time.sleep(1.5)"
    run = run_external(command(job, f"import subprocess\nsubprocess.run([sys.executable, '-c', '{child}'])\nwrite()\n"))
    assert 300 < run.peak_memory_mb < 600


def test_nothing_that_a_command_is_given_has_a_test_target(job: ExternalJob) -> None:
    run_external(command(job, "write()\n"))
    for path in job.work.iterdir():
        content = path.read_bytes()
        assert b"77.125" not in content
        assert b"88.125" not in content
    assert pd.read_csv(job.work / "test.csv").columns.tolist() == ["id"]


LOOK = """
import os
root = work.parents[2]
found = [os.path.join(place, name) for place, _, names in os.walk(root) for name in names]
seen = sorted(os.path.relpath(path, root) for path in found)
try:
    (work / "structures.extxyz").open("a")
    seen.append("can write crystals")
except OSError:
    pass
import subprocess
if subprocess.run(["umount", str(root)], capture_output=True).returncode == 0:
    seen.append("can unmount what hides the results")
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if os.path.exists(f"{process}/root{root}/data/test_targets.parquet"):
        seen.append("can see the results of other processes")
(work / "seen.json").write_text(json.dumps(seen))
write()
"""


def test_a_command_cannot_read_the_results(job: ExternalJob) -> None:
    needs_namespaces(job)
    run = run_external(command(job, LOOK))
    assert run.isolation == "namespaces"
    seen = json.loads((job.work / "seen.json").read_text())
    own = ["settings.json", "structures.extxyz", "structures.json.gz", "test.csv", "train.csv", "validation.csv"]
    crystals = ["data/export/structures.extxyz", "data/export/structures.json.gz"]
    assert seen == sorted([*crystals, *(f"runs/seed3/work/{name}" for name in own)])
    assert (job.parts.parent / "fold0/test.csv").exists()


def test_a_hidden_file_is_empty(job: ExternalJob, tmp_path: Path) -> None:
    needs_namespaces(job)
    (tmp_path / "targets.csv").write_text("file,target\na.cif,77.125\n")
    look = f"(work / 'seen').write_text(pathlib.Path({str(tmp_path / 'targets.csv')!r}).read_text())\nwrite()\n"
    run_external(command(replace(job, hidden=[*job.hidden, tmp_path / "targets.csv"]), look))
    assert (job.work / "seen").read_text() == ""
    assert "77.125" in (tmp_path / "targets.csv").read_text()


def test_what_lies_in_a_hidden_folder_is_hidden_with_it(job: ExternalJob, tmp_path: Path) -> None:
    """As where the user's own table is in the folder of their structures."""
    needs_namespaces(job)
    nested = replace(job, hidden=[job.hidden[0] / "data", *job.hidden, job.hidden[0] / "data/test_targets.parquet"])
    assert run_external(command(nested, LOOK)).isolation == "namespaces"
    assert not any("targets" in name for name in json.loads((job.work / "seen.json").read_text()))


def test_ids_that_look_like_nothing_are_ids(job: ExternalJob) -> None:
    ids = {}
    for part, names in {"test": ["NA", "null"], "validation": ["None", "nan"]}.items():
        table = pd.read_csv(job.parts / f"{part}.csv")
        table["id"] = ids[part] = names
        table.to_csv(job.parts / f"{part}.csv", index=False)
    assert run_external(command(job, "write()\n")).predictions["id"].tolist() == ids["test"]


def test_where_nothing_can_be_hidden_the_command_runs_with_a_warning(
    job: ExternalJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sitenet.training.isolation.shutil.which", lambda name: None)
    run = run_external(command(job, "write()\n"))
    assert run.isolation == "none"
    assert run.predictions["prediction"].tolist() == [2.5, 2.5]
    assert "results and data are not hidden from the command" in caplog.text


def test_a_command_has_the_threads_and_no_python_of_ours(job: ExternalJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    run_external(command(job, "import os\n(work / 'environment').write_text(json.dumps(dict(os.environ)))\nwrite()\n"))
    seen = json.loads((job.work / "environment").read_text())
    assert (seen["OMP_NUM_THREADS"], seen["CUDA_VISIBLE_DEVICES"]) == ("2", "")
    assert "PYTHONPATH" not in seen


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sys.exit('no such optimiser')\n", r"^the command ended with status 1; the last line .*: no such optimiser$"),
        ("", r"cannot read '\S+/work/predictions.csv'"),
        ("write(parts=['validation'])\n", r"lacks predictions for 2 of the 4 test and validation crystals of fold 0"),
        ("write(parts=['test'])\n", r"lacks predictions for 2 of the 4 test and validation crystals of fold 0"),
        ("write('nan')\n", r"has a prediction that is not a finite number for 4 of the 4"),
        ("write(parts=['test', 'test', 'validation'])\n", r"has two or more predictions for 2 of the 4"),
    ],
    ids=["fails", "leaves nothing", "no test", "no validation", "NaN", "twice"],
)
def test_a_failure_is_one_line(job: ExternalJob, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        run_external(command(job, text))
    assert "\n" not in str(refused.value)


def test_a_command_that_is_not_there_is_one_line(job: ExternalJob) -> None:
    settings = job.settings.model_copy(update={"command": ".venv/bin/python train.py"})
    with pytest.raises(UserError, match=r"ended with status 127; .*: .*\.venv/bin/python: not found"):
        run_external(replace(job, settings=settings))


STEPS = """
steps = work / "steps"
done = int(steps.read_text()) if steps.exists() else 0
steps.write_text(str(done + 1))
if done < 2:
    sys.exit("interrupted")
write(json.loads((work / "settings.json").read_text())["restarts"])
"""


def test_an_interrupted_command_goes_on_in_its_folder_and_one_with_other_files_begins_anew(job: ExternalJob) -> None:
    command(job, STEPS)
    for _ in range(2):
        with pytest.raises(UserError, match="interrupted"):
            run_external(job)
    run = run_external(job)
    assert run.restarts == 2
    assert run.predictions["prediction"].tolist() == [2.0, 2.0]
    with pytest.raises(UserError, match="interrupted"):  # what is done is not gone on with
        run_external(job)
    assert (job.work / "steps").read_text() == "1"
    command(job, STEPS + "\n# another version\n")
    with pytest.raises(UserError, match="interrupted"):
        run_external(job)
    assert (job.work / "steps").read_text() == "1"
    structures = job.structures[0]
    structures.write_text(structures.read_text().replace("Lattice", "Lattice ", 1))
    with pytest.raises(UserError, match="interrupted"):  # other structures of the same ids and targets
        run_external(job)
    assert (job.work / "steps").read_text() == "1"


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_job_ends_its_command(job: ExternalJob, tmp_path: Path, kind: signal.Signals) -> None:
    if kind == signal.SIGKILL:
        needs_namespaces(job)
    command(job, "import os, time\n(work / 'started').write_text('')\ntime.sleep(300)\n")
    script = (
        "import pickle, sys; from sitenet.training.external import run_external; "
        "run_external(pickle.load(open(sys.argv[1], 'rb')))"
    )
    (tmp_path / "job.pickle").write_bytes(pickle.dumps(job))
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "job.pickle")], cwd=ROOT)
    limit = time.monotonic() + 60
    while not (job.work / "started").exists() and time.monotonic() < limit:
        time.sleep(0.1)
    started = psutil.Process(process.pid).children(recursive=True)
    assert started
    process.send_signal(kind)
    assert process.wait(30) == (1 if kind == signal.SIGTERM else -signal.SIGKILL)
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive


@pytest.mark.slow
def test_the_example_runs_in_an_environment_that_its_requirements_make(job: ExternalJob, tmp_path: Path) -> None:
    """Its own virtual environment, with nothing of this project's."""
    folder, environment = ROOT / "examples/boosting", tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python, given = environment / "bin/python", {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "-r", folder / "requirements.txt"], check=True, env=given
    )
    settings = ExternalSettings(folder=str(folder), command=f"{python} train.py", parameters={"n_trees": 40})
    run = run_external(replace(job, settings=settings))
    assert np.isfinite(run.predictions["prediction"]).all()
    assert (run.n_train, run.restarts) == (4, 0)
    assert subprocess.run([python, "-c", "import sitenet"], capture_output=True, cwd=tmp_path, env=given).returncode


MINE = """
import torch
CUTOFF = 5.0


def prepare(crystals, cutoff):
    graphs = {id_: torch.tensor([len(crystal["sites"]) / cutoff]) for id_, crystal in crystals.items()}
    return graphs, torch.nn.Linear(1, 1)


def outputs(model, graphs):
    return model(torch.stack(graphs)).reshape(-1)
"""


def test_one_module_adds_a_network_to_the_example_and_an_unknown_one_is_refused(job: ExternalJob) -> None:
    folder, python = Path(job.settings.folder), f"{sys.executable} train.py"
    shutil.copy(NETWORKS / "train.py", folder)
    (folder / "with_mine.py").write_text(MINE)
    mine = {"command": f"{python} mine", "parameters": {"epochs": 3}}
    run = run_external(replace(job, settings=job.settings.model_copy(update=mine)))
    assert np.isfinite(run.predictions["prediction"]).all()
    for name in ("yours", ""):  # a misspelled one, and none
        done = subprocess.run(f"{python} {name} {job.work}", shell=True, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr == f"unknown network: {name or job.work}; known are mine\n"
