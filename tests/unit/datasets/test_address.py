"""Addresses that name datasets: taken only from hosts and buckets on the list, without users and secrets."""

import pytest

from shared.datasets.address import Address, called, is_address, require_address
from shared.errors import RefusedWords
from shared.settings import Settings

SETTINGS = Settings(
    dataset_hosts="data.example.com, *.example.org:8443, 203.0.113.9",
    dataset_buckets="ml-data, other/shared, third/2026/",
)

TAKEN = {
    "https://data.example.com/churn.csv": Address("https", "data.example.com", "/churn.csv", "churn.csv"),
    "HTTPS://DATA.Example.com:443/a/B.csv": Address("https", "data.example.com", "/a/B.csv", "B.csv"),
    "https://data.example.com/a b.csv?raw=1&v=2": Address(
        "https", "data.example.com", "/a%20b.csv?raw=1&v=2", "a b.csv"
    ),
    "https://data.example.com/a%20b.csv#top": Address("https", "data.example.com", "/a%20b.csv", "a b.csv"),
    "https://data.example.com/données.csv": Address("https", "data.example.com", "/donn%C3%A9es.csv", "données.csv"),
    "https://data.example.com": Address("https", "data.example.com", "/", "data.example.com"),
    "https://x.y.example.org:8443/z": Address("https", "x.y.example.org", "/z", "z", 8443),
    "s3://ml-data/churn.csv": Address("s3", "ml-data", "churn.csv", "churn.csv"),
    "s3://ml-data/a/b%20c.csv": Address("s3", "ml-data", "a/b%20c.csv", "b%20c.csv"),
    "s3://other/shared/a.csv": Address("s3", "other", "shared/a.csv", "a.csv"),
    "s3://third/2026/a.csv": Address("s3", "third", "2026/a.csv", "a.csv"),
}


@pytest.mark.parametrize("dataset", TAKEN)
def test_addresses_on_the_list_are_taken(dataset: str) -> None:
    """A plain address of a host or bucket on the list is read as it stands, and the file's name is the dataset's."""
    assert is_address(dataset)
    assert require_address(SETTINGS, dataset) == TAKEN[dataset]
    assert called(dataset) == TAKEN[dataset].name


NOT_LISTED = [
    "https://example.com/a.csv",
    "https://evil-data.example.com/a.csv",
    "https://data.example.com.evil.com/a.csv",
    "https://data.example.com:8443/a.csv",
    "https://example.org:8443/a.csv",
    "https://x.example.org/a.csv",
    "https://evilexample.org:8443/a.csv",
    "https://127.0.0.1/a.csv",
    "https://[::1]/a.csv",
    "https://[::ffff:169.254.169.254]:443/a.csv",
    "https://2130706433/a.csv",
    "https://localhost/a.csv",
    "s3://ml-data-2/a.csv",
    "s3://other/a.csv",
    "s3://other/shared-not/a.csv",
    "s3://third/2026.csv",
]


@pytest.mark.parametrize("dataset", NOT_LISTED)
def test_other_hosts_are_refused(dataset: str) -> None:
    """A host or bucket that is not on the list is refused with the list, however much its name resembles one."""
    with pytest.raises(RefusedWords) as met:
        require_address(SETTINGS, dataset)
    assert met.value.code == "address_not_listed"
    hosts = "hosts that LML_DATASET_HOSTS names (data.example.com, *.example.org:8443, 203.0.113.9); met `"
    buckets = "buckets and folders that LML_DATASET_BUCKETS names (ml-data, other/shared, third/2026/); met `s3://"
    assert f"Datasets come from {buckets if dataset.startswith('s3') else hosts}" in str(met.value)


REFUSED = {
    "http://data.example.com/a.csv": "its scheme is `http`",
    "ftp://data.example.com/a.csv": "its scheme is `ftp`",
    "file:///etc/passwd": "its scheme is `file`",
    "gopher://data.example.com/_x": "its scheme is `gopher`",
    "https://ada:pw@data.example.com/a.csv": "it names a user",
    "https://data.example.com@evil.com/a.csv": "it names a user",
    "https://data.example.com\\@evil.com/a.csv": "it names a user",
    "https://data.example.com\\.evil.com/a.csv": "it names no host",
    "https://data.example.com:port/a.csv": "Port could not be cast",
    "https:///a.csv": "it names no host",
    "https://dätä.example.com/a.csv": "it names no host",
    "https://data.example.com/a.csv?X-Amz-Signature=0123": "`X-Amz-Signature=` would stand in the log",
    "https://data.example.com/a.csv?v=1&sig=0123": "`sig=` would stand in the log",
    "https://data.example.com/a.csv?access_token=": "`access_token=` would stand in the log",
    "https://data.example.com/a\n.csv": "letters that nobody sees",
    "https://data.example.com/" + "a" * 2000: "more than 2000 letters",
    "s3://ml-data": "it names no bucket, or no file",
    "s3://ml-data/": "it names no bucket, or no file",
    "s3://ml-data/folder/": "it names no bucket, or no file",
    "s3://ml-data/../other/a.csv": "its path has an empty part, `.` or `..`",
    "s3://other/shared/../a.csv": "its path has an empty part, `.` or `..`",
    "s3://arn:aws:s3:eu:1:accesspoint/x": "it names no bucket, or no file",
}


@pytest.mark.parametrize("dataset", REFUSED)
def test_what_is_no_plain_address_is_refused(dataset: str) -> None:
    """A user, a secret, another scheme or a path that climbs is refused with the reason, and never repeated."""
    with pytest.raises(RefusedWords) as met:
        require_address(SETTINGS, dataset)
    assert met.value.code == "address_refused"
    assert REFUSED[dataset] in str(met.value)
    assert "0123" not in str(met.value)
    assert "ada" not in str(met.value)
    assert "pw@" not in str(met.value)


@pytest.mark.parametrize("dataset", ["https://data.example.com/a.csv", "s3://ml-data/a.csv"])
def test_nothing_is_on_the_list_unless_set(dataset: str) -> None:
    """Without settings no address is taken."""
    with pytest.raises(RefusedWords, match=r"names \(none so far\); met `"):
        require_address(Settings(), dataset)


@pytest.mark.parametrize(
    "name", ["churn.csv", "2026/march.csv", "sha256:0123", "C:\\data\\a.csv", "champion:churn", ""]
)
def test_other_names_are_no_addresses(name: str) -> None:
    """A file's name, a path, a hash and an alias are no addresses."""
    assert not is_address(name)


@pytest.mark.parametrize(
    "settings", [{"dataset_hosts": "https://data.example.com"}, {"dataset_hosts": "a b"}, {"dataset_buckets": "A,B"}]
)
def test_lists_are_checked(settings: dict[str, str]) -> None:
    """A list that holds something else than hosts or buckets is refused when the settings are read."""
    with pytest.raises(ValueError, match="should match pattern"):
        Settings(**settings)
