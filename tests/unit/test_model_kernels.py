"""How kernels are compiled, kept and called; what they compute is tested with each network."""

import ctypes
import logging
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest
import torch

from sitenet.models.base import gate_kernels, kernels
from sitenet.models.sitenet import kernels as fused
from sitenet.models.sitenet_radial import kernels as radial_kernels
from sitenet.models.sitenet_radial import moment_kernels

needs_compiler = pytest.mark.skipif(
    kernels.library("sitenet_radial/kernels") is None, reason="no C compiler that builds the kernels"
)
ROOT = Path(__file__).parents[2]
X86 = platform.machine() == "x86_64"
OTHER_COMPILERS = [
    # Short vectors, as for processors without AVX-512.
    pytest.param("cc -mno-avx512f", "avx2", marks=pytest.mark.skipif(not X86, reason="the option is for x86-64")),
    pytest.param("clang", "[Cc]lang", marks=pytest.mark.skipif(not which("clang"), reason="no clang")),
]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sitenet/kernels", fused.KernelArguments),
        ("sitenet_radial/kernels", radial_kernels.KernelArguments),
        (gate_kernels.NAME, gate_kernels.KernelArguments),
        (moment_kernels.NAME, moment_kernels.KernelArguments),
    ],
)
def test_arguments_are_the_same_in_python_and_c(name: str, arguments: type[ctypes.Structure]) -> None:
    """Their order and kinds, which a comparison of sizes does not see."""
    source = kernels.source(name).read_text()
    body = re.sub(r"/\*.*?\*/", "", source[source.index("typedef struct {") : source.index("} KernelArguments;")])
    in_c = []
    for statement in re.findall(r"(?:const )?(?:int64_t|float) [^;]+(?=;)", body):
        for variable in statement.replace("const ", "").split(" ", 1)[1].split(","):
            in_c.append((re.sub(r"[ *]|\[.*", "", variable), "*" in variable))
    in_python = [(field[0], field[1] is ctypes.c_void_p) for field in arguments._fields_]
    assert in_c == in_python


@needs_compiler
def test_arguments_of_another_size_are_refused() -> None:
    class Shorter(ctypes.Structure):
        _fields_ = radial_kernels.KernelArguments._fields_[:-1]

    with pytest.raises(RuntimeError, match=r"arguments of radial_forward have \d+ bytes in Python and \d+ in C"):
        kernels.call("sitenet_radial/kernels", "radial_forward", Shorter(), {})


@needs_compiler
def test_a_library_in_place_is_not_replaced(compiler: Callable[[str], None], tmp_path: Path) -> None:
    """Another process may have mapped it: here it appears while this one compiles its own."""
    script = tmp_path / "cc.sh"
    script.write_text(
        "#!/bin/sh\n"
        'cc "$@" || exit\n'
        'for last; do [ "$before" = -o ] && built=$last; before=$last; done\n'
        '[ "$built" ] || exit 0\n'
        'target=$(dirname "$(dirname "$built")")/$(basename "$built")\n'
        'cp "$built" "$target" && echo by another process >> "$target"\n'
    )
    compiler(f"sh {script}")
    assert kernels.built_by("sitenet_radial/kernels")
    (kept,) = (tmp_path / "sitenet").iterdir()
    assert kept.read_bytes().endswith(b"by another process\n")


@needs_compiler
def test_without_a_cache_folder_a_process_compiles_its_own(
    compiler: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    compiler("cc")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert kernels.supports("sitenet_radial/kernels", torch.zeros(1))
    assert len(caplog.messages) == 1
    assert "no place to keep compiled kernels" in caplog.messages[0]


STEPS = """
import torch
from sitenet.features.featurize import featurize
from sitenet.models.base.batch import collate
from sitenet.models.registry import model_kinds
from sitenet.settings.features import FeatureSettings
from tests.real_crystals import SOME_IDS, crystals, point_set, some_point_sets

torch.set_num_threads(2)
options = {
    "sitenet": [{}, {"blocks": 1, "heads": 1, "value_width": 17, "attention_hidden": (70,)}],
    "sitenet_radial": [{}, {"heads": 2, "width": 48, "hidden_width": 20}],
    "cgcnn": [{}, {"width": 48}],
}
batches = [collate([point_set("mp-252", 1)]), collate([*some_point_sets(100), point_set("mp-19308", 200)])]
for kind, variants in options.items():
    for variant in variants:
        found = model_kinds()[kind]
        model = found.build(found.settings.model_validate(variant), False)
        assert "gcc" in model.computed_by()
        for batch in batches:
            model(batch).sum().backward()
for degree, channels in ((3, 128), (5, 16)):
    found = model_kinds()["sitenet_radial"]
    options = {"moments": degree, "moment_channels": 16, "gate_channels": channels, "cutoff": 4.0, "envelope": True}
    model = found.build(found.settings.model_validate(options), False)
    features = FeatureSettings(radius=4.0, moments=degree)
    model(collate([featurize(crystals()[id_], features) for id_ in SOME_IDS])).sum().backward()
print("all steps done")
"""


@pytest.mark.slow
@needs_compiler
def test_address_and_undefined_behaviour_sanitizers_find_nothing(tmp_path: Path) -> None:
    """A training step of each network that has kernels, so that every one runs, also on sizes that are not usual."""
    flags = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g"
    if not which("gcc"):
        pytest.skip("no gcc")
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    if not Path(found.strip()).is_absolute():
        pytest.skip("this gcc has no sanitizers")
    environment = os.environ | {
        "CC": f"env -u LD_PRELOAD gcc {flags}",
        "XDG_CACHE_HOME": str(tmp_path),
        "LD_PRELOAD": found.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run([sys.executable, "-c", STEPS], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "all steps done" in done.stdout
    assert not re.search("Sanitizer|runtime error", done.stderr), done.stderr
