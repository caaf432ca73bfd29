"""As much of a W&B server as its client needs, in this process: runs, histories, files and artifacts.

What it answers follows the queries of wandb 0.31. It keeps what it is sent, so that tests can compare it with
the files of the runs; a second upload of a history overwrites lines by their offset, as at W&B.
"""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass
class StoredRun:
    """A run as the server knows it."""

    id: str
    attributes: Json = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    summary: Json = field(default_factory=dict)
    lines: dict[int, Json] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def history(self) -> list[Json]:
        """Rows in the order of their steps."""
        return [self.lines[offset] for offset in sorted(self.lines)]


@dataclass
class StoredArtifact:
    """A version of an artifact."""

    id: str
    name: str
    kind: str
    digest: str
    metadata: Json
    made_by: str | None
    used_by: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    state: str = "PENDING"


class WandbServer:
    """State of the server and its answers.

    Attributes:
        address: Base address for WANDB_BASE_URL.
        requests: All paths and bodies received.
        failures: Requests that it could not answer.
        broken: Whether a request to a path is refused with status 503.
    """

    def __init__(self) -> None:
        self.address = ""
        self.runs: dict[str, StoredRun] = {}
        self.artifacts: dict[str, StoredArtifact] = {}
        self.requests: list[bytes] = []
        self.failures: list[str] = []
        self.broken: Callable[[str], bool] = lambda path: False

    def respond(self, path: str, body: bytes) -> tuple[int, Json]:
        """Status and content of the answer to a request."""
        if self.broken(path):
            return 503, {}
        self.requests.append(path.encode() + b"\n" + body)
        try:
            return 200, self._answer(path, body)
        except Exception as error:  # what this server lacks, which a test then shows
            self.failures.append(f"{error!r} at {path}: {body.decode()[:2000]}")
            return 400, {}

    def _answer(self, path: str, body: bytes) -> Json:
        match path.strip("/").split("/"):
            case ["graphql"]:
                query = json.loads(body)
                name = query.get("operationName") or query["query"].split("(")[0].split()[1]
                handler = getattr(self, f"_{name}", None)
                assert handler, f"the client asks for {name}: {query}"
                return {"data": handler(query.get("variables") or {})}
            case ["files", _, _, run, "file_stream"]:
                return self._file_stream(self.runs[run], json.loads(body))
            case ["storage", "run", run, *name]:
                self.runs[run].files["/".join(name)] = body
            case ["storage", "artifact", artifact, *name]:
                self.artifacts[artifact].files["/".join(name)] = body
        return {}

    def _file_stream(self, run: StoredRun, request: Json) -> Json:
        for name, part in request.get("files", {}).items():
            rows = [json.loads(line) for line in part["content"]]
            if name == "wandb-history.jsonl":
                run.lines |= dict(enumerate(rows, part["offset"]))
            elif name == "wandb-summary.json":
                run.summary = rows[-1]
        run.exit_code = request.get("exitcode", run.exit_code)
        return {}

    def _Viewer(self, variables: Json) -> Json:  # noqa: N802, the name of a GraphQL operation
        return {"viewer": {"id": "1", "entity": "team", "flags": "{}", "teams": {"edges": []}}}

    def _ServerFeaturesQuery(self, variables: Json) -> Json:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _UpsertBucket(self, variables: Json) -> Json:  # noqa: N802
        run = self.runs.setdefault(variables["name"], StoredRun(variables["name"]))
        run.attributes |= {name: value for name, value in variables.items() if value is not None}
        config = json.loads(variables["config"] or "{}")
        run.config |= {name: entry["value"] for name, entry in config.items()}
        project = {"id": "2", "name": variables["project"], "entity": {"id": "3", "name": "team"}}
        bucket = {
            "id": run.id,
            "name": run.id,
            "displayName": run.attributes.get("displayName"),
            "config": "{}",
        }
        return {"upsertBucket": {"bucket": bucket | {"project": project}, "inserted": True}}

    def _RunResumeStatus(self, variables: Json) -> Json:  # noqa: N802
        run = self.runs.get(variables["name"])
        if run is None:
            return {"model": {"id": "2", "name": variables["project"], "bucket": None}}
        config = {name: {"value": value} for name, value in run.config.items()}
        bucket = {
            "id": run.id,
            "name": run.id,
            "historyLineCount": len(run.lines),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]),
            "eventsTail": "[]",
            "summaryMetrics": json.dumps(run.summary),
            "config": json.dumps(config),
            "wandbConfig": json.dumps({"t": 1}),
            "tags": run.attributes.get("tags", []),
        }
        return {"model": {"id": "2", "name": "p", "entity": {"id": "3", "name": "team"}, "bucket": bucket}}

    def _CreateRunFiles(self, variables: Json) -> Json:  # noqa: N802
        address = f"{self.address}/storage/run/{variables['run']}"
        files = [{"name": name, "uploadUrl": f"{address}/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def _CreateArtifact(self, variables: Json) -> Json:  # noqa: N802
        given = variables["input"]
        name, digest = given["artifactCollectionName"], given["digest"]
        same = [a for a in self.artifacts.values() if (a.name, a.digest) == (name, digest)]
        artifact = (
            same[0]
            if same
            else StoredArtifact(
                id=f"artifact{len(self.artifacts)}",
                name=name,
                kind=given["artifactTypeName"],
                digest=digest,
                metadata=json.loads(given["metadata"] or "{}"),
                made_by=given["runName"],
            )
        )
        self.artifacts[artifact.id] = artifact
        latest = {"latestArtifact": None}
        found = {"id": artifact.id, "state": artifact.state, "artifactSequence": latest}
        return {"createArtifact": {"artifact": found}}

    def _CreateArtifactManifest(self, variables: Json) -> Json:  # noqa: N802
        artifact = variables["artifactID"]
        return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": self._file(artifact, "manifest")}}}

    def _CreateArtifactFiles(self, variables: Json) -> Json:  # noqa: N802
        files = [self._file(spec["artifactID"], spec["name"]) for spec in variables["input"]["artifactFiles"]]
        return {"createArtifactFiles": {"files": {"edges": [{"node": file} for file in files]}}}

    def _file(self, artifact: str, name: str) -> Json:
        address = f"{self.address}/storage/artifact/{artifact}/{name}"
        file = {"id": name, "name": name, "displayName": name, "storagePath": f"{artifact}/{name}"}
        return file | {"uploadUrl": address, "uploadHeaders": [], "artifact": {"id": artifact}}

    def _CommitArtifact(self, variables: Json) -> Json:  # noqa: N802
        artifact = self.artifacts[variables["artifactID"]]
        artifact.state = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def _UseArtifact(self, variables: Json) -> Json:  # noqa: N802
        given = variables["input"]
        self.artifacts[given["artifactID"]].used_by.add(given["runName"])
        return {"useArtifact": {"artifact": {"id": given["artifactID"]}}}

    def _ArtifactType(self, variables: Json) -> Json:  # noqa: N802
        name = variables["name"].split(":")[0]
        kinds = [artifact.kind for artifact in self.artifacts.values() if artifact.name == name]
        found = {"artifactType": {"name": kinds[0]}} if kinds else None
        return {"project": {"artifact": found}}


@contextmanager
def serving_wandb() -> Iterator[WandbServer]:
    """Runs a server on a free local port."""
    state, lock = WandbServer(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(ConnectionError):  # a client that is killed
                super().handle()

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            with lock:
                status, answer = state.respond(self.path, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _take  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Keeps test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
