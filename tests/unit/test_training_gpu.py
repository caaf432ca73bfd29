"""The training run of test_checkpoint.py on a GPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sitenet.features.store import FeatureStore
from sitenet.prediction.predictor import predict
from sitenet.settings.section import Section
from sitenet.training.run import train
from tests.training_case import CGCNN_NETWORK, NETWORK, RADIAL_NETWORK, SCHNET_NETWORK, write_inputs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


@pytest.mark.parametrize(
    "network", [NETWORK, RADIAL_NETWORK, CGCNN_NETWORK, SCHNET_NETWORK], ids=lambda network: network.kind
)
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "float16"])
def test_a_run_ends_on_a_gpu_and_its_network_predicts_alike_on_a_cpu(
    tmp_path: Path, network: Section, precision: str
) -> None:
    inputs = write_inputs(tmp_path)
    job = replace(inputs.job(tmp_path / "run", network, precision=precision), device="cuda")
    result = train(job)
    assert result.hardware["device"] == torch.cuda.get_device_name()
    content = torch.load(job.folder / "best.pt", weights_only=True)
    assert {weight.device.type for weight in content["weights"].values()} == {"cpu"}
    store = FeatureStore([inputs.shard])
    on_gpu, on_cpu = (predict(job.folder / "best.pt", store, inputs.ids, name) for name in ("cuda", "cpu"))
    np.testing.assert_allclose(on_gpu["prediction"], on_cpu["prediction"], rtol=1e-3, atol=1e-3)
