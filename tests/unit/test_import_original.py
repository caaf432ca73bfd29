"""The command `sitenet import-original`, with files in the layout of the original's checkpoints."""

import csv
import io
import os
import pickle
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from sitenet.cli import main
from sitenet.models.base.batch import collate
from sitenet.prediction.original.convert import original_name
from sitenet.prediction.predictor import Predictor
from sitenet.training.checkpoint import load_best
from tests.original_checkpoint import CONFIG, content, state_dict
from tests.real_crystals import point_set
from tests.reference.values import cases


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> None:
    main(["import-original", *arguments])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that the command ends with; nothing may be written."""
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    assert end.value.code == 1
    assert not Path("best.pt").exists()
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_an_imported_network_predicts_the_reference_values(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(content(), "paper.ckptv")
    run("paper.ckptv")
    predictor = Predictor.load(Path("best.pt"))
    with torch.no_grad():
        found = [
            predictor.model(collate([point_set(c["material_id"], c["max_sites"])], torch.float32)).item()
            for c in cases()
        ]
    np.testing.assert_allclose(found, [case["prediction"] for case in cases()], rtol=0, atol=1e-5)
    description, best, _ = load_best(Path("best.pt"))
    assert description.origin.startswith("imported from the original's checkpoint ")
    assert len(description.origin.split()[-1]) == 64
    assert best is not None
    assert (best.epoch, round(best.validation_error, 4)) == (42, 0.2345)
    assert (predictor.trial.features.max_sites, description.unit) == (50, "eV")
    assert "best validation MAE 0.2345 eV" in capsys.readouterr().out


def test_it_predicts_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(content(hyper_parameters=CONFIG | {"last_af_func": "TReLU"}), "paper.ckptv")
    run("paper.ckptv", "--out", "new/imported.pt", "--max-sites", "100")
    Path("Si.vasp").write_text("Si\n1\n0 2.7 2.7\n2.7 0 2.7\n2.7 2.7 0\nSi\n2\ndirect\n0 0 0\n.25 .25 .25\n")
    capsys.readouterr()
    main(["predict", "Si.vasp", "--model", "new/imported.pt"])
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert (row["id"], row["unit"]) == ("Si.vasp", "eV")
    assert float(row["prediction"]) >= 0


def test_older_names_unused_layers_and_a_configuration_beside_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {name.replace("ije_to_", "bond_to_"): tensor for name, tensor in state_dict().items()}
    old["encoder.post_pool_layers_std.0.weight"] = torch.zeros(200, 94)
    torch.save(content(state_dict=old, hyper_parameters={}, callbacks={}), "old.ckptv")
    assert "no hyperparameters: name the original's YAML file with --config" in refused(capsys, "old.ckptv")
    Path("Paper.yaml").write_text(yaml.safe_dump({k: v for k, v in CONFIG.items() if k != "h5_file"}))
    assert "add --max-sites" in refused(capsys, "old.ckptv", "--config", "Paper.yaml")
    run("old.ckptv", "--config", "Paper.yaml", "--max-sites", "100")
    out = capsys.readouterr().out
    assert "left out, since no prediction uses them: encoder.post_pool_layers_std.0.weight" in out
    assert "best validation MAE not recorded" in out
    assert load_best(Path("best.pt"))[1] is None


def test_deeper_attention_maps_to_the_same_list() -> None:
    assert original_name("blocks.1.logit_hidden.0.linear.weight") == (
        "encoder.Attention_Blocks.1.ije_to_multihead.linear_layers.1.weight"
    )
    assert original_name("blocks.1.logit_hidden.0.norm.bias") == (
        "encoder.Attention_Blocks.1.ije_to_multihead.norm_layers.1.Norm.bias"
    )


def changed(name: str, tensor: torch.Tensor | None) -> dict[str, torch.Tensor]:
    tensors = state_dict()
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    return tensors


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (changed("decoder.bias", None), "'decoder.bias' is missing in this network"),
        (changed("decoder.more", torch.zeros(1)), "'decoder.more' is not known in this network"),
        (changed("decoder.bias", torch.zeros(2)), "'decoder.bias' has the shape (2,), where the settings give (1,)"),
        (changed("decoder.bias", torch.zeros(1, dtype=torch.float64)), "has the type torch.float64"),
        (changed("decoder.bias", torch.tensor([torch.nan])), "'decoder.bias' has numbers that are not finite"),
        (state_dict() | {"decoder.bias": [0.0]}, "the entry 'decoder.bias' of 'state_dict' is not a tensor"),
        (
            changed("decoder.bias", torch.zeros(1).to_sparse()),
            "'decoder.bias' of 'state_dict' is not a tensor of numbers",
        ),
        (
            changed("encoder.Attention_Blocks.0.bond_to_multihead.linear_layers.0.bias", torch.zeros(225)),
            "two versions",
        ),
        ({}, "it has no 'state_dict'"),
    ],
)
def test_tensors_that_do_not_fit(
    folder: Path, capsys: pytest.CaptureFixture[str], tensors: dict[str, Any], message: str
) -> None:
    torch.save(content(state_dict=tensors), "paper.ckptv")
    assert message in refused(capsys, "paper.ckptv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention_heads": 4}, "has the shape"),
        ({"attention_heads": 64, "site_dim_per_head": 4096, "attention_blocks": 16}, "is missing"),
        ({"sym_func": "sum"}, "'sym_func' has the value 'sum'; supported is mean or max"),
        ({"pre_pool_layers": [94, 94]}, "supported is a list of one width"),
        ({"lin_norm": "none"}, "'lin_norm' has the value 'none'"),
        ({"last_af_func": "softplus"}, "supported is TReLU or relu or identity"),
        ({"Interaction_Features": []}, "'Interaction_Features' has the value []"),
        ({"embedding_size": "wide"}, "embedding_width"),
        ({"distance_cutoff": "far"}, "supported is a number"),
        ({"distance_cutoff": float("nan")}, "supported is a number"),
        ({"h5_file": "mine.hdf5"}, "add --max-sites"),
    ],
)
def test_settings_that_this_network_does_not_have(
    folder: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    torch.save(content(hyper_parameters=CONFIG | change), "paper.ckptv")
    assert message in refused(capsys, "paper.ckptv")


class Call:
    """Pickled as the call of a function."""

    def __init__(self, function: Callable, *arguments: Any):
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable, tuple[Any, ...]]:
        return self._call


@pytest.mark.parametrize(
    "call",
    [
        Call(os.system, "touch ran"),
        Call(eval, "open('ran', 'w')"),
        Call(exec, "open('ran', 'w')"),
        Call(pickle.loads, pickle.dumps(Call(os.system, "touch ran"))),
        Call(torch.load, "other.pt"),
    ],
    ids=lambda call: call._call[0].__name__,
)
@pytest.mark.parametrize("place", ["callbacks", "hyper_parameters", "state_dict"])
def test_nothing_that_a_pickle_calls_is_run(
    folder: Path, capsys: pytest.CaptureFixture[str], call: Call, place: str
) -> None:
    value = {"callbacks": call, "hyper_parameters": CONFIG | {"embedding_size": call}}
    value["state_dict"] = state_dict() | {"decoder.bias": call}
    torch.save(content(**{place: value[place]}), "evil.ckptv")
    try:
        run("evil.ckptv")
        assert place == "callbacks"  # an inert object where nothing is read
        assert "not imported, and without effect: " in capsys.readouterr().out
    except SystemExit:
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not Path("ran").exists()


def test_classes_of_lightning_are_neither_needed_nor_imported(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning before 1.5 had callback classes as keys; its dictionary type may hold hyperparameters."""
    names = {"pytorch_lightning.callbacks.model_checkpoint": "ModelCheckpoint"}
    names["pytorch_lightning.utilities.parsing"] = "AttributeDict"
    with monkeypatch.context() as patch:
        for package in ("pytorch_lightning", "pytorch_lightning.callbacks", "pytorch_lightning.utilities"):
            patch.setitem(sys.modules, package, types.ModuleType(package))
        for module, name in names.items():
            found = types.ModuleType(module)
            bases = (dict,) if name == "AttributeDict" else ()
            setattr(found, name, type(name, bases, {"__module__": module}))
            patch.setitem(sys.modules, module, found)
        callback, dictionary = (getattr(sys.modules[m], n) for m, n in names.items())
        parameters = dictionary(CONFIG)
        torch.save(
            content(hyper_parameters=parameters, callbacks={callback: {"best_model_score": torch.tensor(0.5)}}),
            "old.ckptv",
        )
    run("old.ckptv")
    out = capsys.readouterr().out
    assert "best validation MAE 0.5000 eV" in out
    assert "without effect: pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint" in out
    assert "pytorch_lightning" not in sys.modules


def test_damaged_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    torch.save(content(), buffer)
    whole = buffer.getvalue()
    for share in (0.0, 0.1, 0.5, 0.99):
        Path("cut.ckptv").write_bytes(whole[: int(share * len(whole))])
        assert "cut.ckptv is truncated" in refused(capsys, "cut.ckptv")
    middle = len(whole) // 2
    Path("bits.ckptv").write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert refused(capsys, "bits.ckptv").startswith("sitenet: bits.ckptv is damaged: the checksum of its part")
    with zipfile.ZipFile("other.ckptv", "w") as archive:
        archive.writestr("readme", "no checkpoint")
    assert "is not a readable checkpoint of PyTorch Lightning" in refused(capsys, "other.ckptv")
    torch.save([1, 2], "list.ckptv")
    assert "it has no 'state_dict'" in refused(capsys, "list.ckptv")
    assert refused(capsys, "none.ckptv") == "sitenet: there is no checkpoint none.ckptv"
    assert "cannot read" in refused(capsys, ".")


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(content(), "paper.ckptv")
    Path("mine.pt").write_text("mine")
    with pytest.raises(SystemExit):
        run("paper.ckptv", "--out", "mine.pt")
    assert "mine.pt exists" in capsys.readouterr().err
    assert Path("mine.pt").read_text() == "mine"
