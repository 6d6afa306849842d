"""MLflow's REST API, as much of it as the mirror needs, by the standard library.

MLflow's own client weighs from 77 to 817 MB and a second of import; the API is a dozen calls
(docs/decisions/0005-mlflow.md). Every call here can be made again without making anything twice.
"""

import base64
import http.client
import json
import math
import re
import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

API = "/api/2.0/mlflow"
WITHIN_S = 20.0
MOST_METRICS, MOST_PARAMS, LONGEST_PARAM = 1_000, 100, 500
_ARTIFACTS = "mlflow-artifacts:"
_FINAL = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS")
"""What MLflow says when the same again would be refused again."""


class MlflowAway(Exception):
    """MLflow does not answer, or not now: to be tried again."""


class MlflowRefused(Exception):
    """MLflow says no, and would again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}"[:500])
        self.code = code


class Mlflow:
    """A tracking server. Used by one thread."""

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {"User-Agent": "LML"}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"

    def experiment(self, name: str) -> str:
        """The id of an experiment, which is made when there is none."""
        try:
            return str(self._get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])
        except MlflowRefused as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
        try:
            return str(self._post("experiments/create", name=name)["experiment_id"])
        except MlflowRefused as error:  # another bot made it meanwhile
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self._get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])

    def run(self, experiment: str, *, key: str, name: str, start_ms: int, tags: dict[str, str]) -> dict[str, Any]:
        """The `info` of the run whose tag `lml.key` is `key`, which is made when there is none."""
        quoted = key.replace("'", "")
        found = self._post(
            "runs/search", experiment_ids=[experiment], filter=f"tags.`lml.key` = '{quoted}'", max_results=1
        )
        if found.get("runs"):
            return dict(found["runs"][0]["info"])
        made = self._post(
            "runs/create",
            experiment_id=experiment,
            start_time=start_ms,
            run_name=name,
            tags=_pairs({"lml.key": quoted, **tags}),
        )
        return dict(made["run"]["info"])

    def log(self, run: str, *, params: dict[str, str], metrics: Sequence[dict[str, Any]]) -> None:
        """Parameters and metrics, in parts that MLflow takes. The same ones again stay one."""
        cut = {name_text(key): value[:LONGEST_PARAM] for key, value in params.items()}
        for part in _parts(_pairs(cut), MOST_PARAMS):
            self._post("runs/log-batch", run_id=run, params=part)
        for part in _parts(metrics, MOST_METRICS):
            self._post("runs/log-batch", run_id=run, metrics=part)

    def tag(self, run: str, tags: dict[str, str]) -> None:
        """Tags of a run that is there; those that it has under these names are written over."""
        self._post("runs/log-batch", run_id=run, tags=_pairs(tags))

    def log_dataset(self, run: str, *, name: str, digest: str, source: str, profile: dict[str, Any]) -> None:
        """The dataset that a run read; the digest is cut to the 36 characters that MLflow takes."""
        dataset = {
            "name": name[:500],
            "digest": digest[:32],
            "source_type": "lml",
            "source": json.dumps({"uri": source}),
            "profile": json.dumps(profile),
        }
        context = [{"key": "mlflow.data.context", "value": "training"}]
        self._post("runs/log-inputs", run_id=run, datasets=[{"dataset": dataset, "tags": context}])

    def put_artifact(self, info: dict[str, Any], path: str, content: bytes | Path) -> None:
        """Store a file of a run; raises `MlflowRefused` for a server that hands its artifacts to another store."""
        uri = str(info["artifact_uri"])
        if not uri.startswith(_ARTIFACTS):
            raise MlflowRefused("ARTIFACTS_NOT_SERVED", f"this MLflow does not take artifacts itself ({uri})")
        root = urlsplit(uri).path.strip("/")
        target = f"/api/2.0/mlflow-artifacts/artifacts/{quote(f'{root}/{path}')}"
        if isinstance(content, bytes):
            self._call("PUT", target, content)
        else:
            with content.open("rb") as file:
                self._call("PUT", target, file, length=content.stat().st_size)

    def end(self, run: str, *, status: str, end_ms: int) -> None:
        """Say that a run is over: FINISHED, FAILED or KILLED."""
        self._post("runs/update", run_id=run, status=status, end_time=end_ms)

    def promote(self, run: str, *, model: str, alias: str, tags: dict[str, str]) -> str:
        """Let an alias of a registered model mean the model of a run; returns the version."""
        try:
            self._post("registered-models/create", name=model)
        except MlflowRefused as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = self._get("model-versions/search", filter=f"name='{model}' and run_id='{run}'", max_results="1")
        if found.get("model_versions"):
            version = str(found["model_versions"][0]["version"])
        else:
            source = f"runs:/{run}/model"
            made = self._post("model-versions/create", name=model, source=source, run_id=run, tags=_pairs(tags))
            version = str(made["model_version"]["version"])
        self._post("registered-models/alias", name=model, alias=alias, version=version)
        return version

    def _get(self, what: str, **query: str) -> dict[str, Any]:
        return self._call("GET", f"{API}/{what}?{urlencode(query)}", None)

    def _post(self, what: str, **body: Any) -> dict[str, Any]:
        return self._call("POST", f"{API}/{what}", json.dumps(body, allow_nan=False).encode())

    def _call(self, method: str, path: str, body: Any, *, length: int | None = None) -> dict[str, Any]:
        headers = dict(self._headers)
        if method == "POST":
            headers["Content-Type"] = "application/json"
        if length is not None:
            headers["Content-Length"] = str(length)
        try:
            connection = self._connection()
            try:
                connection.request(method, self._path + path, body=body, headers=headers)
                answer = connection.getresponse()
                status, content = answer.status, answer.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise MlflowAway(f"{type(error).__name__}: {error}"[:500]) from error
        return _answered(status, content)

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=WITHIN_S, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=WITHIN_S)


def metric(key: str, value: float, *, at_ms: int, step: int = 0) -> dict[str, Any]:
    """A metric as MLflow takes it; what is no finite number as a word, for a bare NaN would be stored as zero."""
    if math.isnan(value):
        said: float | str = "NaN"
    elif math.isinf(value):
        said = "Infinity" if value > 0 else "-Infinity"
    else:
        said = value
    return {"key": name_text(key), "value": said, "timestamp": at_ms, "step": step}


def name_text(name: str) -> str:
    """A name with what MLflow refuses in names put another way: `hits@5` is `hits_at_5`."""
    return re.sub(r"[^\w\-. /:]", "_", name.replace("@", "_at_"))[:250]


def _answered(status: int, content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content or b"{}")
    except ValueError:
        said = {}
    if 200 <= status < 300:
        return said if isinstance(said, dict) else {}
    said = said if isinstance(said, dict) else {}
    code, message = str(said.get("error_code", status)), str(said.get("message", content[:200]))
    if code in _FINAL:
        raise MlflowRefused(code, message)
    raise MlflowAway(f"{status} {code}: {message}"[:500])  # it is down, too busy, or our password is wrong for now


def _pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _parts(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
