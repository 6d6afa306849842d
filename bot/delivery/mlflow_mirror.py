"""The mirror: every ended run that the team sees stands in the team's MLflow too, and so do its promotions.

Told from an outbox (`shared.log.mirror`), as webhooks are: MLflow away never slows or fails a run, it only comes later.
Everything can be told twice without standing there twice, so a bot that dies in between leaves no double.
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bot.cards import run_title
from bot.delivery.mlflow_rest import Mlflow, MlflowAway, MlflowRefused, metric, name_text
from bot.delivery.webhooks import MOST_TRIES, wait_s
from shared.blobs import BlobStore
from shared.log import mirror, runs
from shared.log.engine import Log
from shared.log.mirror import Due, Kind
from shared.log.runs import Artifact, Run, RunState
from shared.settings import Settings

logger = logging.getLogger(__name__)

STATUS = {RunState.SUCCEEDED: "FINISHED", RunState.FAILED: "FAILED", RunState.CANCELLED: "KILLED"}
MODEL = "model.onnx"
WRITTEN_FOR = "3.17.2"
"""The version of MLflow whose model format is written; later ones read it."""


class MlflowMirror:
    """Tells MLflow of what has ended, one thing at a time. Used by one thread."""

    def __init__(
        self, settings: Settings, log: Log, store: BlobStore, *, wait: Callable[[int], float] = wait_s
    ) -> None:
        uri = settings.mlflow_tracking_uri
        self._uri = "" if uri is None else uri.get_secret_value()
        self._experiment = settings.mlflow_experiment
        self._log, self._store, self._wait = log, store, wait
        self._owner = f"bot-{uuid.uuid4().hex[:12]}"

    def send_next(self) -> bool:
        """Tell of the next thing that is due; False when nothing is."""
        with self._log.read() as connection:  # most looks find nothing, and cost no write
            if not mirror.is_behind(connection):
                return False
        with self._log.write() as connection:
            mirror.enroll(connection)
            due = mirror.take(connection, owner=self._owner)
        if due is None:
            return False
        try:
            problem = self._tell(due)
        except MlflowRefused as error:
            self._settle(due, str(error), again=False)
        except (MlflowAway, OSError) as error:
            self._settle(due, str(error), again=due.tries < MOST_TRIES)
        else:
            self._settle(due, problem, again=False)
        return True

    def _settle(self, due: Due, problem: str | None, *, again: bool) -> None:
        if problem is not None:
            logger.warning("MLflow, %s %d, try %d: %s", due.kind, due.number, due.tries, problem)
        with self._log.write() as connection:
            if again:
                seconds = self._wait(due.tries)
                mirror.later(connection, due, owner=self._owner, seconds=seconds, problem=problem or "")
            else:
                mirror.done(connection, due, owner=self._owner, problem=problem)

    def _tell(self, due: Due) -> str | None:
        """Tell of it; what a person should know of it afterwards, if anything."""
        mlflow = Mlflow(self._uri)
        if due.kind is Kind.RUN:
            return self._run(mlflow, due.number)[1]
        with self._log.read() as connection:
            promoted = mirror.promotion(connection, due.number)
        if promoted is None:
            return None
        info, problem = self._run(mlflow, promoted.run)
        if problem is not None:
            return problem
        tags = {"lml.run": str(promoted.run), "lml.promoted_by": promoted.by, "lml.why": promoted.why or ""}
        model, alias = _plain_name(promoted.dataset), _plain_name(promoted.alias)
        mlflow.promote(str(info["run_id"]), model=model, alias=alias, tags=tags)
        return None

    def _run(self, mlflow: Mlflow, number: int) -> tuple[dict[str, Any], str | None]:
        """Let a run stand there as it ended: the `info` of MLflow's run, and what could not be told."""
        with self._log.read() as connection:
            run = runs.get(connection, number)
            artifacts = runs.artifacts_of(connection, number)
            points = mirror.points(connection, number)
        started_ms, ended_ms = _ms(_began(run)), _ms(run.ended_at or run.created_at)
        info = self._there(mlflow, run)
        there = str(info["run_id"])
        if run.seeds is not None:  # it was made when the first of its seeds had ended
            mlflow.tag(there, _tags(run))
        history = [metric(series, value, at_ms=started_ms, step=step) for series, step, value in points]
        reached = [metric(key, value, at_ms=ended_ms) for key, value in _metrics(run.result or {}).items()]
        mlflow.log(there, params=_params(run), metrics=[*history, *reached])
        if run.dataset_sha256 is not None:
            facts = (run.result or {}).get("dataset") or {}
            profile = {name: facts[name] for name in ("rows", "columns") if name in facts}
            digest = run.content_sha256 or run.dataset_sha256
            source = f"lml:sha256/{run.dataset_sha256}"
            mlflow.log_dataset(there, name=run.dataset_name or "dataset", digest=digest, source=source, profile=profile)
        problem = self._files(mlflow, info, run, artifacts)
        mlflow.end(there, status=STATUS[run.state], end_ms=ended_ms)
        return info, problem

    def _there(self, mlflow: Mlflow, run: Run) -> dict[str, Any]:
        """MLflow's run for a run, made when there is none; that of a seed stands below that of its run."""
        tags = _tags(run)
        if run.seed_of is not None:
            with self._log.read() as connection:
                parent = runs.get(connection, run.seed_of)
            tags["mlflow.parentRunId"] = str(self._there(mlflow, parent)["run_id"])
        return mlflow.run(
            mlflow.experiment(self._experiment),
            key=f"{run.team_id}/{run.id}/{_ms(run.created_at)}",  # another log begins at 1 again
            name=run.name if run.name and run.seed_of is None else run_title(run),
            start_ms=_ms(_began(run)),
            tags=tags,
        )

    def _files(self, mlflow: Mlflow, info: dict[str, Any], run: Run, artifacts: list[Artifact]) -> str | None:
        try:
            for artifact in artifacts:
                path = self._store.path_of(artifact.sha256)
                if not path.exists():  # it was erased since
                    continue
                if artifact.name == MODEL:
                    for name, text in _model_files(run, str(info["run_id"]), artifact.sha256).items():
                        mlflow.put_artifact(info, f"model/{name}", text.encode())
                    mlflow.put_artifact(info, f"model/{MODEL}", path)
                else:
                    mlflow.put_artifact(info, artifact.name, path)
        except MlflowRefused as error:
            return str(error)
        return None


def _tags(run: Run) -> dict[str, str]:
    tags = {
        "mlflow.user": run.requested_by,
        "mlflow.source.name": run.words[:500],
        "mlflow.source.type": "JOB",
        "lml.run": str(run.id),
        "lml.team": run.team_id,
        "lml.kind": run.kind,
        "lml.dataset_sha256": run.dataset_sha256 or "",
        "lml.content_sha256": run.content_sha256 or "",
        "lml.split_sha256": run.split_sha256 or "",
        "mlflow.source.git.commit": str(((run.result or {}).get("environment") or {}).get("commit") or ""),
    }
    if run.problem is not None:
        tags["lml.problem"] = f"{run.problem.code}: {run.problem.message}"
    if run.tags:
        tags["lml.tags"] = ", ".join(run.tags)
    return {key: value[:5_000] for key, value in tags.items() if value}


def _params(run: Run) -> dict[str, str]:
    """What was asked, and what training made of it."""
    asked = run.spec.model_dump(mode="json", exclude_none=True, exclude={"version"})
    params = {name: _text(value) for name, value in asked.items()}
    plan = (run.result or {}).get("plan") or {}
    params |= {f"plan.{name}": _text(value) for name, value in plan.items() if not isinstance(value, dict | list)}
    resolved = {"target": run.target, "task": run.task, "model": run.model}
    return params | {f"resolved.{name}": value for name, value in resolved.items() if value}


def _metrics(result: dict[str, Any]) -> dict[str, float]:
    """The metrics of every part, and how long and with how much memory they were reached."""
    found = {
        f"{part}.{name}": float(value)
        for part, values in (result.get("metrics") or {}).items()
        for name, value in (values or {}).items()
        if isinstance(value, int | float)
    }
    for part, sds in (result.get("sd") or {}).items():
        found |= {f"{part}.{name}.sd": float(sd) for name, sd in sds.items() if isinstance(sd, int | float)}
    for name, seconds in (result.get("timing_s") or {}).items():
        if isinstance(seconds, int | float):
            found[f"seconds.{name}"] = float(seconds)
    if isinstance(result.get("peak_memory_mb"), int | float):
        found["peak_memory_mb"] = float(result["peak_memory_mb"])
    return found


def _model_files(run: Run, there: str, sha256: str) -> dict[str, str]:
    """What makes a folder with `model.onnx` a model that MLflow loads (its MLmodel format; JSON is YAML too)."""
    versions = ((run.result or {}).get("plan") or {}).get("versions") or {}
    python = str(versions.get("python") or "3.11")
    onnxruntime = f"onnxruntime=={versions['onnxruntime']}" if "onnxruntime" in versions else "onnxruntime"
    needs = [f"mlflow>={WRITTEN_FOR}", "onnx", onnxruntime]
    described = {
        "artifact_path": "model",
        "flavors": {
            "onnx": {"code": None, "data": MODEL, "onnx_version": "1.23.0", "providers": ["CPUExecutionProvider"]},
            "python_function": {
                "data": MODEL,
                "env": {"virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.onnx",
                "python_version": python,
            },
        },
        "metadata": {"lml.run": run.id, "sha256": sha256},
        "mlflow_version": WRITTEN_FOR,
        "model_uuid": hashlib.sha256(f"{there}/{sha256}".encode()).hexdigest()[:32],
        "run_id": there,
        "utc_time_created": (run.ended_at or run.created_at).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    environment = {"python": python, "dependencies": ["-r requirements.txt"]}
    return {
        "MLmodel": json.dumps(described, indent=1),
        "requirements.txt": "\n".join(needs) + "\n",
        "python_env.yaml": json.dumps(environment),
    }


def _began(run: Run) -> datetime:
    """When it began; a run with seeds with the first of them."""
    return run.created_at if run.seeds is not None else run.started_at or run.created_at


def _plain_name(name: str) -> str:
    """The name of a model or an alias as the registry takes it."""
    return name_text(name).replace("/", "_").replace(":", "_")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
