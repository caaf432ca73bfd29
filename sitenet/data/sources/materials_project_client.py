"""Questions to the Materials Project through its own client, asked again when the service is busy."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sitenet.errors import UserError

log = logging.getLogger(__name__)
ATTEMPTS = 6
BATCH = 500  # documents in one answer; their ids fit into one URL
Answer = TypeVar("Answer")


class MaterialsProject:
    """A connection to the service with the key in MP_API_KEY; the key appears in no message.

    Attributes:
        version: Version of the database.
        endpoint: Address of the service.
    """

    def __init__(self) -> None:
        """Connects.

        Raises:
            UserError: There is no key, or the service does not answer.
        """
        self._key = os.environ.get("MP_API_KEY", "")
        if not self._key:
            raise UserError(
                "the Materials Project needs a key: get one at https://next-gen.materialsproject.org/api "
                "and put it into the environment variable MP_API_KEY"
            )
        from mp_api.client import MPRester  # slow to import

        self._rester = self._ask(
            lambda: MPRester(
                self._key,
                endpoint=os.environ.get("MP_API_ENDPOINT"),
                use_document_model=False,
                mute_progress_bars=True,
            )
        )
        self.version: str = self._rester.db_version
        if not self.version:
            raise UserError("the Materials Project does not tell its database version; is it down for maintenance?")
        self.endpoint: str = self._rester.endpoint

    def ids(self, criteria: dict[str, Any]) -> list[str]:
        """Ids of all materials that meet the criteria, in the order of their numbers."""
        documents = self._search(criteria, ["material_id"], 1000)
        return sorted({doc["material_id"] for doc in documents}, key=lambda id_: (len(id_), id_))

    def documents(self, ids: Sequence[str], fields: list[str]) -> Iterator[dict[str, Any]]:
        """Yields a document for each id, in their order; only the id where the service sends none."""
        for start in range(0, len(ids), BATCH):
            batch = list(ids[start : start + BATCH])
            answer = self._search({"material_ids": batch, "deprecated": False}, ["material_id", *fields], BATCH)
            found = {doc["material_id"]: doc for doc in answer}
            yield from (found.get(id_, {"material_id": id_}) for id_ in batch)
            log.info("Materials Project: %d of %d documents", start + len(batch), len(ids))

    def _search(self, criteria: dict[str, Any], fields: list[str], chunk_size: int) -> list[dict[str, Any]]:
        search = self._rester.materials.summary.search
        return self._ask(lambda: search(**criteria, fields=fields, chunk_size=chunk_size))

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        from mp_api.client.core import MPRestError
        from requests import RequestException

        for attempt in range(ATTEMPTS):
            try:
                return question()
            except (MPRestError, RequestException, ValueError, KeyError) as error:
                reason = _one_line(str(error).replace(self._key, "<key>"))
            if _is_final(reason):
                break
            if attempt + 1 < ATTEMPTS:
                wait = 2.0**attempt
                log.warning("Materials Project: %s; asking again in %.0f s", reason, wait)
                time.sleep(wait)
        raise UserError(f"the Materials Project gives no answer: {reason}{_advice(reason)}")


def _one_line(text: str) -> str:
    """Text without line breaks and without the long parameters of addresses."""
    return re.sub(r"\?[\w.]+=\S*", "", " ".join(text.split()))[:300]


def _status(reason: str) -> int | None:
    found = re.search(r"status code (\d+)", reason)
    return int(found[1]) if found else None


def _is_final(reason: str) -> bool:
    """Whether asking again is of no use: a wrong key, field or criterion."""
    status = _status(reason)
    if status is not None:
        return 400 <= status < 500 and status not in (408, 425, 429)
    return any(text in reason for text in ("invalid fields", "valid API key", "does not support the request"))


def _advice(reason: str) -> str:
    return "; check the key in MP_API_KEY" if _status(reason) in (401, 403) else ""
