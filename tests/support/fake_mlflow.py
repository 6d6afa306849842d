"""An MLflow tracking server of ours: as strict as the real one about names, sizes and numbers, and away when asked."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_NAME = re.compile(r"^[\w\-. /:]+$")


class _No(Exception):
    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


def _no_constant(word: str) -> Any:
    raise _No(f"bare {word}")  # the real one stores zero


@dataclass
class FakeMlflow:
    """Remembers what it is told; `fault` may cut a call before or after it was carried out."""

    fault: Callable[[str], str | None] = lambda _what: None
    """From what is called to None, `before`, `after` (no answer though it was done), `401` or `500`."""
    calls: list[str] = field(default_factory=list)
    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    served: bool = True
    """Whether it takes artifacts itself."""

    def __enter__(self) -> "FakeMlflow":
        fake, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                url = urlsplit(self.path)
                what = url.path.removeprefix("/api/2.0/mlflow/").removeprefix("/api/2.0/")
                fault = fake.fault(what)
                fake.calls.append(what)
                if fault == "before":
                    self.close_connection = True
                    return
                status, answer = 200, {}
                if fault in ("401", "500"):
                    status, answer = int(fault), {"error_code": "INTERNAL_ERROR", "message": "no"}
                else:
                    with lock:
                        try:
                            answer = fake.answer(self.command, what, parse_qs(url.query), body)
                        except _No as error:
                            status, answer = error.status, {"error_code": error.code, "message": "refused"}
                if fault == "after":
                    self.close_connection = True
                    return
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names that the library calls

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def uri(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def run(self, key: str) -> dict[str, Any]:
        """The one run whose `lml.key` begins with this."""
        (found,) = (run for run in self.runs.values() if run["tags"]["lml.key"].startswith(f"{key}/"))
        return found

    def answer(self, method: str, what: str, query: dict[str, list[str]], body: bytes) -> dict[str, Any]:
        """Carry a call out."""
        if what.startswith("mlflow-artifacts/artifacts/"):
            _, run, _, path = unquote(what).removeprefix("mlflow-artifacts/artifacts/").split("/", 3)
            self.runs[run]["files"][path] = body
            return {}
        asked = (
            json.loads(body, parse_constant=_no_constant) if method == "POST" else {k: v[0] for k, v in query.items()}
        )
        handle: Callable[[dict[str, Any]], dict[str, Any]] = getattr(self, "_" + re.sub(r"\W", "_", what))
        return handle(asked)

    def _experiments_get_by_name(self, asked: dict[str, Any]) -> dict[str, Any]:
        for number, name in self.experiments.items():
            if name == asked["experiment_name"]:
                return {"experiment": {"experiment_id": number}}
        raise _No("RESOURCE_DOES_NOT_EXIST", 404)

    def _experiments_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["name"] in self.experiments.values():
            raise _No("RESOURCE_ALREADY_EXISTS")
        number = str(len(self.experiments) + 1)
        self.experiments[number] = asked["name"]
        return {"experiment_id": number}

    def _runs_search(self, asked: dict[str, Any]) -> dict[str, Any]:
        met = re.fullmatch(r"tags\.`lml\.key` = '([^']*)'", asked["filter"])
        assert met is not None
        found = [run for run in self.runs.values() if run["tags"].get("lml.key") == met[1]]
        return {"runs": [{"info": run["info"]} for run in found]} if found else {}

    def _runs_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = f"r{len(self.runs) + 1}"
        scheme = "mlflow-artifacts:" if self.served else "s3://bucket"
        info = {
            "run_id": run,
            "artifact_uri": f"{scheme}/{asked['experiment_id']}/{run}/artifacts",
            "status": "RUNNING",
        }
        tags = {tag["key"]: tag["value"] for tag in asked["tags"]}
        assert all(len(value) <= 8_000 for value in tags.values())
        self.runs[run] = {"info": info, "tags": tags, "params": {}, "metrics": set(), "files": {}, "datasets": []}
        self.runs[run]["start"] = asked["start_time"]
        return {"run": {"info": info}}

    def _runs_log_batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        params, metrics = asked.get("params", []), asked.get("metrics", [])
        if len(params) > 100 or len(metrics) > 1_000:
            raise _No("INVALID_PARAMETER_VALUE")
        run = self.runs[asked["run_id"]]
        run["tags"] |= {tag["key"]: tag["value"] for tag in asked.get("tags", [])}
        for param in params:
            known = run["params"].setdefault(param["key"], param["value"])
            if known != param["value"] or not _NAME.match(param["key"]) or len(param["value"]) > 6_000:
                raise _No("INVALID_PARAMETER_VALUE")
        for metric in metrics:
            if not _NAME.match(metric["key"]) or len(metric["key"]) > 250:
                raise _No("INVALID_PARAMETER_VALUE")
            run["metrics"].add((metric["key"], metric["step"], metric["timestamp"], metric["value"]))
        return {}

    def _runs_log_inputs(self, asked: dict[str, Any]) -> dict[str, Any]:
        for one in asked["datasets"]:
            if len(one["dataset"]["digest"]) > 36:
                raise _No("INVALID_PARAMETER_VALUE")
            if one["dataset"] not in self.runs[asked["run_id"]]["datasets"]:
                self.runs[asked["run_id"]]["datasets"].append(one["dataset"])
        return {}

    def _runs_update(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.runs[asked["run_id"]]["info"]["status"] = asked["status"]
        return {}

    def _registered_models_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["name"] in self.models:
            raise _No("RESOURCE_ALREADY_EXISTS")
        if "/" in asked["name"] or ":" in asked["name"]:
            raise _No("INVALID_PARAMETER_VALUE")
        self.models[asked["name"]] = []
        return {}

    def _model_versions_search(self, asked: dict[str, Any]) -> dict[str, Any]:
        met = re.fullmatch(r"name='([^']*)' and run_id='([^']*)'", asked["filter"])
        assert met is not None
        return {"model_versions": [v for v in self.models.get(met[1], []) if v["run_id"] == met[2]]}

    def _model_versions_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        versions = self.models[asked["name"]]
        versions.append({"version": str(len(versions) + 1), "run_id": asked["run_id"], "source": asked["source"]})
        return {"model_version": versions[-1]}

    def _registered_models_alias(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.aliases[asked["name"], asked["alias"]] = asked["version"]
        return {}
