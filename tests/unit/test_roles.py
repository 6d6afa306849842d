"""The access file: what it gives, what is wrong with it, and that it is read again when it changes."""

from pathlib import Path

import pytest

from shared.access import Role
from shared.errors import RefusedWords
from shared.roles import WITHOUT_FILE, AccessFile, Grants, read_grants
from shared.settings import Settings

REPOSITORY = Path(__file__).parents[2]


def problems_of(text: str) -> list[str]:
    """What is wrong with a file, without the words that every problem has."""
    with pytest.raises(RefusedWords) as met:
        read_grants(text)
    assert {problem.code for problem in met.value.problems} == {"access_file_wrong"}
    assert all("docs/access.md" in problem.hint for problem in met.value.problems)
    return [problem.message.removeprefix("The access file (LML_ACCESS_FILE): ") for problem in met.value.problems]


def write(path: Path, text: str) -> None:
    """A new file in the place of an old one, as docs/access.md says."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


def test_the_example_is_understood_whole() -> None:
    """deploy/access.example.toml shows every part of the file, and each is read."""
    grants = read_grants((REPOSITORY / "deploy" / "access.example.toml").read_text(encoding="utf-8"))
    assert grants == Grants(
        users={"U012ADA00": Role.ADMIN, "U012EVE00": None},
        groups={"S012DATA0": Role.OPERATOR},
        channels={"C012ML000": Role.TRAINER},
        default=Role.VIEWER,
        guests=frozenset({"U0GUEST01"}),
        external_channels=frozenset({"C0SHARED1"}),
        raised={"promote": Role.OPERATOR},
    )


def test_an_empty_file_gives_nobody_a_role() -> None:
    """Who is not listed is nobody, unless the file has a default; without any file, full members train."""
    assert read_grants("") == Grants()
    assert read_grants("").default is None
    assert read_grants('default = "none"').default is None
    assert WITHOUT_FILE.default is Role.TRAINER


def test_everything_that_is_wrong_is_named_at_once() -> None:
    """All mistakes of a file come in one answer, each with the line that is meant and what it may be."""
    text = """
        default = "admin"
        gests = []
        guests = "U0EVE"
        external_channels = ["general", 7]
        [users]
        ada = "admin"
        U0BEN = "boss"
        [groups]
        S0TEAM = "none"
        [channels]
        C0ML = "admin"
        D0ADA = "viewer"
        [verbs]
        train = "viewer"
        up = "admin"
    """
    assert problems_of(text) == [
        "`gests` is none of its parts, which are default, guests, external_channels, users, groups, channels, verbs."
        " Did you mean `guests`?",
        "[users] `ada` is not a user's id, such as U012AB3CD.",
        "[users] `U0BEN` is one of none, viewer, trainer, operator, admin; met 'boss'.",
        "[groups] `S0TEAM` is one of viewer, trainer, operator, admin; met 'none'.",
        "[channels] `C0ML` is one of viewer, trainer, operator; met 'admin'.",
        "[channels] `D0ADA` is not a channel's id, such as C012AB3CD.",
        "`default` is one of none, viewer, trainer; met 'admin'.",
        "`guests` is a list of users' ids, such as U012AB3CD; met 'U0EVE'.",
        "`external_channels` holds channels' ids, such as C012AB3CD; met 'general'.",
        "`external_channels` holds channels' ids, such as C012AB3CD; met 7.",
        "[verbs] `up` is not a verb that can be used in Slack.",
        "[verbs] `train` needs at least trainer, which no file lowers; met viewer.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[users", "It is no TOML: "),
        ("users = 3", "[users] is a table, one line for each; met 3."),
        ("default = true", "`default` is one of none, viewer, trainer; met True."),
        ("[users]\nU0A = 2", "[users] `U0A` is one of none, viewer, trainer, operator, admin; met 2."),
        ("[users]\nU0A = ['admin']", "[users] `U0A` is one of none, viewer, trainer, operator, admin; met ['admin']."),
        ("users = " + "[" * 5000, "It is no TOML: "),
        ("default = []", "`default` is one of none, viewer, trainer; met []."),
        ("[verbs]\nforget = 'nobody'", "[verbs] `forget` is one of viewer, trainer, operator, admin; met 'nobody'."),
    ],
)
def test_values_of_another_kind_are_refused(text: str, said: str) -> None:
    """Whatever TOML holds where a role or a table should be is one problem, never a role and never a crash."""
    [problem] = problems_of(text)
    assert problem.startswith(said)


def test_a_raised_verb_is_withheld_from_lower_roles() -> None:
    """[verbs] takes a verb from the roles below the one it names, and from nobody else."""
    grants = read_grants('[verbs]\npromote = "operator"\nlog = "trainer"')
    assert grants.withheld(Role.VIEWER) == {"promote", "log"}
    assert grants.withheld(Role.TRAINER) == {"promote"}
    assert grants.withheld(Role.OPERATOR) == frozenset()
    assert grants.withheld(None) == frozenset()


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """The next request meets what the file says now."""
    path = tmp_path / "access.toml"
    write(path, '[users]\nU0ADA = "viewer"')
    file = AccessFile(Settings(access_file=path))
    assert file.grants().users == {"U0ADA": Role.VIEWER}
    write(path, '[users]\nU0ADA = "admin"')
    assert file.grants().users == {"U0ADA": Role.ADMIN}
    assert file.problems() == ()


@pytest.mark.parametrize("broken", ["[users", None, "world"])
def test_a_file_that_breaks_changes_nothing(
    tmp_path: Path, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """While the file is wrong, gone or writable for everyone, what it said before counts, and the log says why."""
    path = tmp_path / "access.toml"
    write(path, '[users]\nU0ADA = "viewer"')
    file = AccessFile(Settings(access_file=path))
    file.grants()
    if broken is None:
        path.unlink()
    elif broken == "world":
        write(path, '[users]\nU0ADA = "admin"')
        path.chmod(0o666)
    else:
        write(path, broken)
    assert file.grants().users == {"U0ADA": Role.VIEWER}
    assert [problem.code for problem in file.problems()] == ["access_file_wrong"]
    assert "What it said before stays." in caplog.text
    write(path, '[users]\nU0ADA = "operator"')
    assert file.grants().users == {"U0ADA": Role.OPERATOR}
    assert file.problems() == ()


@pytest.mark.parametrize("text", [None, "[users", "\xff"])
def test_a_wrong_file_at_the_start_gives_nothing(tmp_path: Path, text: str | None) -> None:
    """Where no good file was ever read, every look is refused, until there is one."""
    path = tmp_path / "access.toml"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    file = AccessFile(Settings(access_file=path))
    for _ in range(2):
        with pytest.raises(RefusedWords) as met:
            file.grants()
        assert met.value.code == "access_file_wrong"
    write(path, 'default = "viewer"')
    assert file.grants().default is Role.VIEWER


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """A file above a megabyte is refused before it is parsed."""
    path = tmp_path / "access.toml"
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    [problem] = AccessFile(Settings(access_file=path)).problems()
    assert "at most 1,048,576 bytes" in problem.message


def test_without_a_file_nothing_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No LML_ACCESS_FILE: full members train, whatever lies about."""
    monkeypatch.chdir(tmp_path)
    file = AccessFile(Settings())
    assert (file.given, file.grants(), file.problems()) == (False, WITHOUT_FILE, ())
