"""Every setting of LML, in one class; read from the environment when asked for, never at import.

Production changes three addresses: `LML_REDIS_URL`, `LML_DATABASE_URL` and, with several machines, the folder
`LML_HOME` (on a file system that they share).
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import Problem, RefusedWords

_HOSTS = r"^\s*$|^\s*(\*\.)?[A-Za-z0-9.-]+(:\d+)?\s*(,\s*(\*\.)?[A-Za-z0-9.-]+(:\d+)?\s*)*$"
_BUCKETS = r"^\s*$|^\s*[a-z0-9.-]+(/[^\s,]*)?\s*(,\s*[a-z0-9.-]+(/[^\s,]*)?\s*)*$"
"""Lists with commas."""


class Settings(BaseSettings):
    """The settings, each with its environment variable `LML_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="LML_", frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Field(
        default=Path("~/.lml"), description="Where the log, the stores and the embedded Redis keep their data."
    )
    redis_url: SecretStr | None = Field(
        default=None, description="A Redis >= 6.2; without it an embedded one is started."
    )
    database_url: SecretStr | None = Field(
        default=None, description="The log's database; without it SQLite below the home."
    )
    datasets: Path | None = Field(
        default=None,
        description="The folder whose files can be named from Slack; `datasets` below the home unless given.",
    )
    dataset_hosts: str = Field(
        default="",
        pattern=_HOSTS,
        description="Hosts of https addresses that name datasets: a.example.com, *.example.com, with :port or without.",
    )
    dataset_buckets: str = Field(
        default="",
        pattern=_BUCKETS,
        description="S3 buckets whose files can be named by s3://bucket/file: whole ones, or folders, bucket/folder.",
    )
    dataset_private: bool = Field(
        default=False, description="Whether those hosts may have addresses of a closed network, such as 10.1.2.3."
    )
    dataset_fetch_s: float = Field(
        default=600.0, gt=0, le=86_400, description="How long a dataset may take to come from an address, in seconds."
    )
    team_id: str = Field(
        default="local", description="The team that runs from the shell belong to; a Slack team id shows them there."
    )
    slack_bot_token: SecretStr | None = Field(default=None, description="The bot token, xoxb-...")
    slack_app_token: SecretStr | None = Field(
        default=None, description="The app-level token, xapp-..., for Socket Mode."
    )
    slack_signing_secret: SecretStr | None = Field(
        default=None, description="The signing secret, for commands over HTTP."
    )
    slack_api_url: str | None = Field(
        default=None, description="Another Slack Web API, for tests; applies to the bot and to Socket Mode."
    )
    slack_log_channel: str | None = Field(
        default=None,
        pattern=r"^[CG][A-Z0-9]{2,30}$",
        description="The id of a channel, C..., that is told of each ended run of the team in one line.",
    )
    slack_digest: str | None = Field(
        default=None,
        pattern=r"^(?i:mon|tue|wed|thu|fri|sat|sun) ([01][0-9]|2[0-3]):[0-5][0-9]$",
        description="When that channel is told of the week, in UTC: `mon 09:00`; never unless given.",
    )
    http_host: str = Field(default="127.0.0.1", description="The address on which the bot listens for HTTP.")
    http_port: int = Field(default=3000, ge=0, le=65535, description="The port on which the bot listens for HTTP.")
    http: bool | None = Field(
        default=None,
        description="Whether the bot opens the door for other services; unless given, once there is one.",
    )
    pages_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
        description="The outside address of the run pages, http(s)://host; given, the pages are served and linked to.",
    )
    pages_user_header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$",
        description="The header in which a sign-in proxy names who opens a run page; only where nothing goes past it.",
    )
    pages_link_days: float = Field(
        default=7.0, gt=0, le=365, description="How many days a link to a run page opens it."
    )
    webhook_private: bool = Field(
        default=False,
        description="Whether webhooks may go to private addresses, and over http: for tests and closed networks.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="What the secrets of services follow from; `secret.key` below the home unless given.",
    )
    mlflow_tracking_uri: SecretStr | None = Field(
        default=None,
        description="An MLflow server, http(s)://user:password@host:port, in which every ended run is to stand too.",
    )
    mlflow_experiment: str = Field(
        default="lml", min_length=1, max_length=250, description="The experiment of MLflow that holds them."
    )
    log: Literal["text", "json"] = Field(
        default="text", description="How processes write what they do: lines for people, or JSON, one object a line."
    )
    lease_s: float = Field(
        default=10.0, gt=0, le=86_400, description="How long a worker that stopped renewing keeps its run, in seconds."
    )
    worker_devices: str | None = Field(
        default=None,
        pattern=r"^\s*(gpu|cpu)(\s*,\s*(gpu|cpu))?\s*$",
        description="The classes of work that a worker takes: gpu, cpu or gpu,cpu; those of its machine unless given.",
    )
    long_slots: int = Field(
        default=1, ge=0, le=64, description="How many runs of any length a worker without a GPU takes at a time."
    )
    short_slots: int = Field(
        default=1, ge=0, le=64, description="How many short runs a worker takes beside them, on its CPU."
    )
    grace_s: float = Field(
        default=30.0, gt=0, le=86_400, description="How long a worker that is stopped waits for its runs to checkpoint."
    )
    checkpoint_s: float = Field(
        default=20.0, gt=0, le=86_400, description="How much training a lost worker may cost, in seconds."
    )
    max_run_s: float | None = Field(default=None, gt=0, description="The longest time that an attempt may take.")
    max_run_bytes: int | None = Field(default=None, gt=0, description="The most memory that a run's processes may use.")
    max_crashes: int = Field(
        default=3, ge=0, le=100, description="How often a run whose process crashed is tried again."
    )
    max_running: int | None = Field(default=None, ge=1, description="How many runs of one person run at a time.")
    max_waiting: int | None = Field(default=None, ge=1, description="How many runs of one person wait at a time.")
    max_gpu_hours: float | None = Field(
        default=None, gt=0, description="How many GPU-hours one person may use in 24 hours."
    )
    admins: str = Field(
        default="",
        description="Slack user ids, between commas, of admins, whatever the access file says: they may everything.",
    )
    access_file: Path | None = Field(
        default=None,
        description="The file that gives roles in Slack (docs/access.md); without it every full member trains.",
    )
    keep_checkpoints_days: float = Field(
        default=14.0, ge=0, le=36_500, description="How many days the checkpoints of a run are kept after its end."
    )
    max_dataset_bytes: int = Field(
        default=2 * 1024**3, gt=0, description="The largest dataset that is taken, in bytes."
    )
    min_free_bytes: int = Field(
        default=32 * 1024**2, ge=0, description="Free disk space below which no run is started, in bytes."
    )

    @field_validator("slack_digest")
    @classmethod
    def _has_a_channel(cls, digest: str | None, info: ValidationInfo) -> str | None:
        if digest is not None and info.data.get("slack_log_channel") is None:
            raise ValueError("it is posted in the channel that LML_SLACK_LOG_CHANNEL names, and that names none")
        return digest

    @field_validator("mlflow_tracking_uri")
    @classmethod
    def _is_http(cls, uri: SecretStr | None) -> SecretStr | None:
        if uri is not None and not re.match(r"https?://[^/\s]+", uri.get_secret_value()):
            raise ValueError("it begins with http:// or https:// and names a host")
        return uri

    @property
    def home_folder(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().absolute()

    @property
    def datasets_folder(self) -> Path:
        """The only folder whose files can be named from Slack."""
        return (self.datasets or self.home / "datasets").expanduser().absolute()

    @property
    def admin_ids(self) -> frozenset[str]:
        """The Slack users who may everything."""
        return frozenset(word.strip() for word in self.admins.split(",") if word.strip())

    @property
    def access_path(self) -> Path | None:
        """The access file as an absolute path; None where every full member trains."""
        return None if self.access_file is None else self.access_file.expanduser().absolute()

    @property
    def store_folder(self) -> Path:
        """Where bytes live by their hash: datasets and artifacts."""
        return self.home_folder / "store"

    @property
    def checkpoints_folder(self) -> Path:
        """Where attempts keep what a later one goes on from: `<run>/<attempt>/`."""
        return self.home_folder / "checkpoints"

    @property
    def stack_folder(self) -> Path:
        """Where the embedded stack keeps its locks, logs and data."""
        return self.home_folder / "stack"

    @property
    def log_url(self) -> str:
        """The SQLAlchemy address of the log."""
        if self.database_url is None:
            return f"sqlite:///{self.home_folder / 'log.db'}"
        url = self.database_url.get_secret_value()
        for plain in ("postgres://", "postgresql://"):
            if url.startswith(plain):
                return "postgresql+psycopg://" + url.removeprefix(plain)
        return url

    def require_redis_url(self) -> str:
        """The address of Redis, which whoever starts a worker or a bot has to give."""
        if self.redis_url is None:
            raise RefusedWords(
                Problem(
                    code="redis_url_missing",
                    message="No Redis is named: LML_REDIS_URL is not set.",
                    hint="Run `lml up`, which starts one, or set LML_REDIS_URL.",
                )
            )
        return self.redis_url.get_secret_value()


def load_settings() -> Settings:
    """The settings of this process's environment; all wrong values are refused in one answer."""
    try:
        return Settings()
    except ValidationError as error:
        raise RefusedWords(
            *(
                Problem(
                    code="bad_setting",
                    message=f"LML_{str(wrong['loc'][0]).upper()}: {wrong['msg']}.",
                    hint="Correct this environment variable or unset it.",
                )
                for wrong in error.errors()
            )
        ) from error
