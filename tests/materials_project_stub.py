"""A stand-in for api.materialsproject.org: its protocol, over summary documents of bundled crystals."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow.parquet as pq
from pymatgen.core import Structure

from sitenet.data.table import CrystalTable, bundled_path
from tests.http_server import Answer, serving

KEY = "k" * 16 + "0123456789abcdef"
BUNDLED = bundled_path("mp_dielectric_gap")


def summary_documents(n: int) -> list[dict[str, Any]]:
    """Summary documents, as the service stores them, of the first bundled crystals."""
    gaps = pq.read_table(BUNDLED)["band_gap"].to_pylist()
    documents = []
    for rank, crystal in enumerate(islice(CrystalTable.open(BUNDLED).crystals(), n)):
        structure = Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)
        documents.append(
            {
                "material_id": crystal.id,
                "deprecated": False,
                "band_gap": gaps[rank],
                "energy_above_hull": rank * 0.01,
                "nsites": len(structure),
                "elements": sorted({site.specie.symbol for site in structure}),
                "bulk_modulus": {"vrh": 10.0 + rank},
                "batch_id": None,
                "structure": structure.as_dict(),
            }
        )
    return documents


@dataclass
class Service:
    """What the service holds and how it fails.

    Attributes:
        beat: Answer given in place of the proper heartbeat.
        failures: Answers given in place of the next ones to summary questions; None answers properly.
        questions: Parameters of every summary question so far.
    """

    documents: list[dict[str, Any]]
    version: str = "2026.04.13"
    key: str = KEY
    beat: Answer | None = None
    failures: list[Answer | None] = field(default_factory=list)
    questions: list[dict[str, str]] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        """Answers one request as the real service does."""
        url = urlsplit(request.path)
        if url.path == "/heartbeat":
            if self.beat is not None:
                return self.beat
            beat = {"db_version": self.version, "access_controlled_batch_ids": [], "version": "0.87.3"}
            return _json(200, beat)
        if request.headers.get("x-api-key") != self.key:
            return _json(401, {"message": f"Invalid authentication credentials {request.headers.get('x-api-key')}"})
        assert url.path == "/materials/summary/", url.path
        question = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.questions.append(question)
        failure = self.failures.pop(0) if self.failures else None
        return failure or _json(200, self._select(question))

    def _select(self, question: dict[str, str]) -> dict[str, Any]:
        found = [doc for doc in self.documents if _matches(doc, question)]
        skip, limit = int(question.get("_skip", 0)), int(question["_limit"])
        wanted = question["_fields"].split(",")
        page = [{key: doc[key] for key in wanted if key in doc} for doc in found[skip : skip + limit]]
        return {"data": page, "meta": {"total_doc": len(found)}}


def _matches(doc: dict[str, Any], question: dict[str, str]) -> bool:
    for key, value in question.items():
        if key == "material_ids":
            good = doc["material_id"] in value.split(",")
        elif key == "elements":
            good = set(value.split(",")) <= set(doc["elements"])
        elif key == "exclude_elements":
            good = not set(value.split(",")) & set(doc["elements"])
        elif key == "deprecated":
            good = doc["deprecated"] == (value.lower() == "true")
        elif key == "batch_id_not_eq":
            good = doc["batch_id"] != value
        elif key.endswith("_min"):
            good = doc[key.removesuffix("_min")] >= float(value)
        elif key.endswith("_max"):
            good = doc[key.removesuffix("_max")] <= float(value)
        else:
            assert key.startswith("_"), f"the stub does not know the parameter {key}"
            good = True
        if not good:
            return False
    return True


def _json(status: int, content: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


def error(status: int, **headers: str) -> Answer:
    """An error answer."""
    return status, headers, json.dumps({"detail": f"error {status}"}).encode()


@contextmanager
def materials_project(service: Service) -> Iterator[str]:
    """Serves `service` and yields its address."""
    with serving(service.answer) as address:
        yield address
