"""The mirror against a real MLflow server, and its model loaded back by MLflow's own client. Run by `make mirror`."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from pydantic import SecretStr
from sqlalchemy import insert, update
from support.deadline import until
from support.log_acts import NEW, PROBLEM, claimed, queued

from bot.delivery.mlflow_mirror import MlflowMirror
from shared.blobs import BlobStore
from shared.events import AnyEvent
from shared.log import attempts, runs, tables
from shared.log.attempts import Outcome
from shared.log.engine import Log, now
from shared.log.runs import Artifact
from shared.settings import Settings
from shared.specs import ModelName, TrainSpec
from workers.core.train import train

pytestmark = pytest.mark.mlflow
PYTHON = Path(sys.prefix) / "mlflow" / "bin" / "python"
WINE = Path(__file__).parents[2] / "examples" / "wine.csv"
LOAD_BACK = """
import csv, json, sys
import mlflow, mlflow.onnx, mlflow.pyfunc, numpy as np, onnxruntime
from mlflow import MlflowClient

uri, table, name = sys.argv[1:]
mlflow.set_tracking_uri(uri)
with open(table, newline="") as file:
    rows = list(csv.DictReader(file))
proto = mlflow.onnx.load_model("models:/wine@champion")
session = onnxruntime.InferenceSession(proto.SerializeToString())
feed = {}
for wanted in session.get_inputs():
    cells = [row[wanted.name] for row in rows]
    if wanted.type == "tensor(string)":
        feed[wanted.name] = np.array(cells, dtype=object).reshape(-1, 1)
    else:
        kind = np.float32 if wanted.type == "tensor(float)" else np.float64
        feed[wanted.name] = np.array([float(cell or "nan") for cell in cells], dtype=kind).reshape(-1, 1)
direct = session.run(["probabilities"], feed)[0]
loaded = mlflow.pyfunc.load_model("models:/wine@champion")
predicted = loaded.predict(feed)
by_pyfunc = predicted["probabilities"] if isinstance(predicted, dict) else predicted[1]
client = MlflowClient(uri)
experiment = client.get_experiment_by_name(name)
found = client.search_runs([experiment.experiment_id])
said = {
    "direct": np.asarray(direct).tolist(),
    "pyfunc": np.asarray(by_pyfunc).reshape(np.asarray(direct).shape).tolist(),
    "versions": len({v.run_id for v in client.search_model_versions("name='wine'")} & {r.info.run_id for r in found}),
    "runs": [
        {
            "status": run.info.status, "params": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags,
            "datasets": [d.dataset.digest for d in run.inputs.dataset_inputs],
            "curve": [m.value for m in client.get_metric_history(run.info.run_id, "linear.train_loss")],
            "files": sorted(f.path for f in client.list_artifacts(run.info.run_id)),
        }
        for run in found
    ],
}
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server that keeps its artifacts itself."""
    if not PYTHON.exists():
        pytest.fail("MLflow is not installed here; `make mirror` installs it")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stores = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "a")]
    words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *stores]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "GIT_PYTHON_REFRESH": "quiet"}
    environment["PATH"] = f"{PYTHON.parent}{os.pathsep}{environment['PATH']}"
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, *words], stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
        )
        try:
            uri = f"http://127.0.0.1:{port}"
            until(lambda: _is_healthy(uri, process), what="MLflow answers", within_s=120)
            yield uri
        finally:
            os.killpg(process.pid, 15)
            process.wait(timeout=30)


def _is_healthy(uri: str, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def trained(log: Log, store: BlobStore, folder: Path) -> tuple[int, Path]:
    """A run of the real core, in the log with its curve, and the folder of its artifacts."""
    spec = TrainSpec(dataset="wine.csv", model=ModelName.LINEAR)
    number = queued(
        log, runs.NewRun(spec=spec, words="train wine.csv", principal=NEW.principal, dataset_name="wine.csv")
    )
    attempt, events = claimed(log), list[AnyEvent]()
    result = train(WINE, spec, out=folder, report=events.append, should_stop=lambda: False)
    blobs = {file.name: store.put_file(file) for file in sorted(folder.iterdir())}
    artifacts = [Artifact(name=name, sha256=blob.sha256, size_bytes=blob.size_bytes) for name, blob in blobs.items()]
    with log.write() as connection:
        for event in events:
            attempts.record(connection, attempt, event)
        attempts.succeed(connection, attempt, Outcome(result, result["metrics"], artifacts))
    return number, folder


def test_a_real_server_has_it_all_and_gives_the_model_back(server: str, log: Log, tmp_path: Path) -> None:
    """Params, metrics, curve, dataset, files and alias; MLflow's own client loads the model and predicts as we do."""
    store = BlobStore(tmp_path / "store")
    experiment = tmp_path.name  # one for each database
    settings = Settings(home=tmp_path, mlflow_tracking_uri=SecretStr(server), mlflow_experiment=experiment)
    number, folder = trained(log, store, tmp_path / "out")
    row = {"team_id": "T1", "dataset": "wine", "alias": "champion", "run_id": number, "by": "U0ADA", "why": "first"}
    with log.write() as connection:
        lost, _ = runs.create(connection, NEW)
        runs.fail_waiting(connection, lost, PROBLEM)
        connection.execute(insert(tables.promotions).values(**row, at=now(connection)))
    mirror = MlflowMirror(settings, log, store)
    for _again in range(2):  # told twice, as after a lost answer, it stands there once
        while mirror.send_next():
            pass
        with log.write() as connection:
            problems = connection.execute(tables.mirrored.select()).all()
            assert {(row.done_at is not None, row.problem) for row in problems} == {(True, None)}
            connection.execute(update(tables.mirrored).values(done_at=None))
    said = loaded_back(server, WINE, settings.mlflow_experiment)
    by_status = {run["status"]: run for run in said["runs"]}
    assert sorted(by_status) == ["FAILED", "FINISHED"]
    assert len(said["runs"]) == 2
    finished = by_status["FINISHED"]
    report = json.loads((folder / "report.json").read_text())
    assert finished["params"]["model"] == "linear"
    assert finished["metrics"]["test.roc_auc"] == report["metrics"]["test"]["roc_auc"]
    assert len(finished["curve"]) > 1
    assert finished["curve"] == sorted(finished["curve"], reverse=True)
    assert len(finished["datasets"]) == 1
    assert {"model", "report.json", "loss_curve.png"} <= set(finished["files"])
    assert said["versions"] == 1
    ours = pl.read_csv(folder / "test_predictions.csv")
    classes = [f"probability_{name}" for name in report["classes"]]
    for row in ours.iter_rows(named=True):
        expected = [row[name] for name in classes]
        for how in ("direct", "pyfunc"):
            assert said[how][row["row"] - 1] == pytest.approx(expected, abs=1e-5)


def loaded_back(uri: str, table: Path, experiment: str) -> dict[str, object]:
    """What MLflow's own client finds there, in a process of its own environment."""
    done = subprocess.run(
        [PYTHON, "-c", LOAD_BACK, uri, table, experiment], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
