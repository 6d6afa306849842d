"""Settings: from the environment when asked for, wrong ones refused together, each one documented."""

import re
from pathlib import Path

import pytest

from shared.errors import RefusedWords
from shared.settings import Settings, load_settings

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs" / "configuration.md"


def test_nothing_has_to_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any variable, everything lies below ~/.lml, and no Redis, database or Slack is named."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings()
    home = tmp_path / ".lml"
    assert settings.home_folder == home
    assert settings.datasets_folder == home / "datasets"
    assert settings.store_folder == home / "store"
    assert settings.stack_folder == home / "stack"
    assert settings.log_url == f"sqlite:///{home / 'log.db'}"
    assert settings.redis_url is None
    assert settings.slack_bot_token is None
    assert not home.exists()


def test_variables_are_read_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call reads the environment as it is then; an empty variable is none."""
    monkeypatch.setenv("LML_HOME", str(tmp_path / "one"))
    monkeypatch.setenv("LML_DATASETS", str(tmp_path / "tables"))
    monkeypatch.setenv("LML_LEASE_S", "12.5")
    monkeypatch.setenv("LML_REDIS_URL", "")
    first = load_settings()
    assert (first.home_folder, first.lease_s, first.redis_url) == (tmp_path / "one", 12.5, None)
    assert first.datasets_folder == tmp_path / "tables"
    monkeypatch.setenv("LML_HOME", str(tmp_path / "two"))
    assert load_settings().home_folder == tmp_path / "two"
    assert first.home_folder == tmp_path / "one"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://ada:pw@db/lml", "postgresql+psycopg://ada:pw@db/lml"),
        ("postgresql://ada:pw@db/lml", "postgresql+psycopg://ada:pw@db/lml"),
        ("postgresql+psycopg://ada:pw@db/lml", "postgresql+psycopg://ada:pw@db/lml"),
        ("sqlite:////data/log.db", "sqlite:////data/log.db"),
    ],
)
def test_database_addresses_get_their_driver(given: str, used: str) -> None:
    """An address as a hosting service gives it is used with the driver that is installed."""
    assert Settings(database_url=given).log_url == used


def test_all_wrong_settings_come_in_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable with a wrong value is named, with its rule and what to do."""
    wrong = {
        "LML_HTTP_PORT": "http",
        "LML_LEASE_S": "-1",
        "LML_MAX_DATASET_BYTES": "2 GB",
        "LML_MIN_FREE_BYTES": "-5",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RefusedWords) as met:
        load_settings()
    assert {problem.message.split(":")[0] for problem in met.value.problems} == set(wrong)
    assert {problem.code for problem in met.value.problems} == {"bad_setting"}
    assert "LML_LEASE_S: Input should be greater than 0. Correct this environment variable or unset it." in str(
        met.value
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("LML_HTTP_PORT", "65536"), ("LML_HTTP_PORT", "-1"), ("LML_LEASE_S", "nan"), ("LML_MAX_DATASET_BYTES", "0")],
)
def test_settings_keep_their_bounds(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value outside of its bounds is refused under its variable's name."""
    monkeypatch.setenv(name, value)
    with pytest.raises(RefusedWords, match=rf"^{name}: "):
        load_settings()


def test_a_lease_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that never ends is refused: no clock can be set to it."""
    monkeypatch.setenv("LML_LEASE_S", "inf")
    with pytest.raises(RefusedWords, match="LML_LEASE_S"):
        load_settings()


@pytest.mark.parametrize(
    "name", ["redis_url", "database_url", "slack_bot_token", "slack_app_token", "slack_signing_secret"]
)
def test_secrets_are_not_shown(name: str) -> None:
    """A token or an address with a password shows in no log line and no dump of the settings."""
    settings = Settings(**{name: "swordfish"})
    assert "swordfish" not in repr(settings)
    assert "swordfish" not in str(settings)
    assert "swordfish" not in settings.model_dump_json()


def test_a_missing_redis_is_said_so() -> None:
    """Whoever needs Redis is told how to name one."""
    with pytest.raises(RefusedWords) as met:
        Settings().require_redis_url()
    assert met.value.code == "redis_url_missing"
    assert str(met.value) == (
        "No Redis is named: LML_REDIS_URL is not set. Run `lml up`, which starts one, or set LML_REDIS_URL."
    )
    assert Settings(redis_url="redis://r:6379/0").require_redis_url() == "redis://r:6379/0"


def named_in_code(*parts: str) -> set[str]:
    """Every LML_ variable that the code of some folders names."""
    texts = [file.read_text(encoding="utf-8") for part in parts for file in (REPOSITORY / part).rglob("*.py")]
    return {name for text in texts for name in re.findall(r"LML_[A-Z][A-Z_]*[A-Z]", text)}


SETTINGS = {f"LML_{field.upper()}" for field in Settings.model_fields}


@pytest.mark.parametrize(
    "name",
    sorted(SETTINGS | named_in_code("bot", "shared", "workers")),
)
def test_every_variable_is_documented(name: str) -> None:
    """Each variable that LML reads stands in docs/configuration.md."""
    assert re.search(rf"\b{name}\b", DOCUMENT.read_text(encoding="utf-8")), f"{DOCUMENT} does not name {name}"


def test_no_variable_is_documented_that_is_none() -> None:
    """What docs/configuration.md names is read by something, so that nobody sets a variable in vain."""
    known = SETTINGS | named_in_code("bot", "shared", "workers", "examples", "tests")
    documented = set(re.findall(r"LML_[A-Z][A-Z_]*[A-Z]", DOCUMENT.read_text(encoding="utf-8")))
    assert documented <= known, f"nothing reads {sorted(documented - known)}"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is_for(name: str) -> None:
    """A setting has a description, a whole sentence."""
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith((".", "..."))
