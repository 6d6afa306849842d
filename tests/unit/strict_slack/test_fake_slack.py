"""The strict Slack that the other tests stand on: it refuses what the real one refuses."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from support.fake_slack import BOT_TOKEN, Channel, Failure, FakeSlack

MODAL = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Train"},
    "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "One moment."}}],
}
HOME = {"type": "home", "blocks": MODAL["blocks"]}


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as fake:
        yield fake


@pytest.fixture
def client(slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> WebClient:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    return WebClient(token=BOT_TOKEN, base_url=slack.url, retry_handlers=[])


def code(call: Callable[[], Any]) -> str:
    """The error with which Slack answers."""
    with pytest.raises(SlackApiError) as met:
        call()
    return str(met.value.response["error"])


def upload(client: WebClient, body: bytes, name: str = "model.onnx") -> str:
    """The first two of the three steps; returns the file's id."""
    asked = client.files_getUploadURLExternal(filename=name, length=len(body))
    with urllib.request.urlopen(urllib.request.Request(asked["upload_url"], data=body)) as answer:
        assert answer.read() == b"OK"
    return str(asked["file_id"])


def test_a_trigger_is_good_once_and_for_three_seconds(client: WebClient, slack: FakeSlack) -> None:
    """A modal opens with a new trigger; with a used, an old and an invented one it does not."""
    trigger = slack.trigger()
    client.views_open(trigger_id=trigger, view=MODAL)
    assert code(lambda: client.views_open(trigger_id=trigger, view=MODAL)) == "exchanged_trigger_id"
    old = slack.trigger(age_s=3.1)
    assert code(lambda: client.views_open(trigger_id=old, view=MODAL)) == "expired_trigger_id"
    assert code(lambda: client.views_open(trigger_id="1.2.3", view=MODAL)) == "invalid_trigger_id"


def test_a_view_is_updated_by_its_hash(client: WebClient, slack: FakeSlack) -> None:
    """An update that knows an older hash is refused, as is one of a view that is not there."""
    view = client.views_open(trigger_id=slack.trigger(), view=MODAL)["view"]
    newer = client.views_update(view_id=view["id"], hash=view["hash"], view=MODAL)["view"]
    assert newer["hash"] != view["hash"]
    assert code(lambda: client.views_update(view_id=view["id"], hash=view["hash"], view=MODAL)) == "hash_conflict"
    assert code(lambda: client.views_update(view_id="V9", view=MODAL)) == "not_found"


def test_a_stack_has_three_views(client: WebClient, slack: FakeSlack) -> None:
    """A fourth view is not pushed."""
    client.views_open(trigger_id=slack.trigger(), view=MODAL)
    for _ in range(2):
        client.views_push(trigger_id=slack.trigger(), view=MODAL)
    assert code(lambda: client.views_push(trigger_id=slack.trigger(), view=MODAL)) == "push_limit_reached"
    assert slack.modal().root == slack.stacks["U0ADA"][0]


def test_a_home_tab_is_published(client: WebClient, slack: FakeSlack) -> None:
    """The home tab is each person's own; an old hash is refused, and so is a modal."""
    first = client.views_publish(user_id="U0ADA", view=HOME)["view"]
    client.views_publish(user_id="U0ADA", view=HOME, hash=first["hash"])
    assert code(lambda: client.views_publish(user_id="U0ADA", view=HOME, hash=first["hash"])) == "hash_conflict"
    assert code(lambda: client.views_publish(user_id="U0ADA", view=MODAL)) == "invalid_arguments"


def test_an_upload_is_completed_once(client: WebClient, slack: FakeSlack) -> None:
    """A file is seen when it is completed, in the thread it is meant for; a second completion is refused."""
    ts = client.chat_postMessage(channel="C0GENERAL", text="a card")["ts"]
    file = upload(client, b"onnx")
    assert client.files_list(channel="C0GENERAL")["files"] == []
    assert code(lambda: client.files_info(file=file)) == "file_not_found"

    def complete() -> Any:
        return client.files_completeUploadExternal(files=[{"id": file}], channel_id="C0GENERAL", thread_ts=ts)

    complete()
    assert code(complete) == "file_not_found"
    assert slack.shown_in(ts) == ["model.onnx"]
    (share,) = client.files_info(file=file)["file"]["shares"]["public"]["C0GENERAL"]
    assert share["thread_ts"] == ts


def test_an_upload_without_its_bytes_is_not_completed(client: WebClient, slack: FakeSlack) -> None:
    """A file whose bytes never came, or came short, cannot be shown."""
    asked = client.files_getUploadURLExternal(filename="a.csv", length=3)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(asked["upload_url"], data=b"four"))
    files = [{"id": asked["file_id"]}]
    assert code(lambda: client.files_completeUploadExternal(files=files, channel_id="C0GENERAL")) == "file_not_found"
    assert slack.files_in("") == {}


def test_a_new_file_has_no_kind_yet(client: WebClient, slack: FakeSlack) -> None:
    """While Slack scans a file its `mimetype` is empty."""
    slack.late_mimetype = 2
    file = slack.share("a.csv", b"a\n1\n")["id"]
    kinds = [client.files_info(file=file)["file"]["mimetype"] for _ in range(3)]
    assert kinds == ["", "", "text/csv"]


def test_a_completed_file_is_shown_late(client: WebClient, slack: FakeSlack) -> None:
    """For a moment after its completion nobody is told where a file is shared, though it is."""
    slack.late_shares = 1
    file = upload(client, b"onnx")
    client.files_completeUploadExternal(files=[{"id": file}], channel_id="C0GENERAL")
    assert client.files_info(file=file)["file"]["channels"] == []
    assert client.files_info(file=file)["file"]["channels"] == ["C0GENERAL"]


def test_files_are_listed_by_time_kind_and_page(client: WebClient, slack: FakeSlack) -> None:
    """`ts_from`, `types`, `count` and `page` narrow the list; an unknown type is refused."""
    for number in range(3):
        slack.share(f"{number}.csv", b"a\n1\n")
    plot = slack.share("plot.png", b"png")
    assert [file["name"] for file in client.files_list(channel="C0GENERAL", types="images")["files"]] == ["plot.png"]
    page = client.files_list(channel="C0GENERAL", count=3, page=2)
    assert ([file["name"] for file in page["files"]], page["paging"]["pages"]) == (["0.csv"], 2)
    later = client.files_list(channel="C0GENERAL", ts_from=str(plot["created"]))["files"]
    assert [file["name"] for file in later] == ["plot.png"]
    assert code(lambda: client.files_list(channel="C0GENERAL", types="csv")) == "unknown_type"


def test_each_kind_of_conversation_has_its_scope(client: WebClient, slack: FakeSlack) -> None:
    """History and facts of private channels and direct messages need scopes of their own."""
    slack.channels["C0PRIVATE"] = Channel(private=True, ext_shared=True)
    assert client.conversations_info(channel="C0PRIVATE")["channel"]["is_ext_shared"] is True
    slack.scopes = {"channels:history", "channels:read"}
    client.conversations_history(channel="C0GENERAL")
    assert code(lambda: client.conversations_history(channel="C0PRIVATE")) == "missing_scope"
    assert code(lambda: client.conversations_history(channel="D0ADA")) == "missing_scope"
    assert code(lambda: client.conversations_info(channel="C0PRIVATE")) == "missing_scope"


def test_history_is_paged_and_bounded(client: WebClient) -> None:
    """The newest messages come first, in pages, between two times, without metadata unless it is asked for."""
    metadata = {"event_type": "lml_run", "event_payload": {"run": 1}}
    stamps = [
        client.chat_postMessage(channel="C0GENERAL", text=f"{number}", metadata=metadata)["ts"] for number in range(5)
    ]
    page = client.conversations_history(channel="C0GENERAL", limit=2)
    assert ([message["text"] for message in page["messages"]], page["has_more"]) == (["4", "3"], True)
    cursor = page["response_metadata"]["next_cursor"]
    after = client.conversations_history(channel="C0GENERAL", limit=2, cursor=cursor)["messages"]
    assert [message["text"] for message in after] == ["2", "1"]
    since = client.conversations_history(channel="C0GENERAL", oldest=stamps[3])["messages"]
    assert [(message["text"], "metadata" in message) for message in since] == [("4", False)]
    known = client.conversations_history(channel="C0GENERAL", include_all_metadata=True)["messages"]
    assert known[0]["metadata"]["event_payload"] == {"run": 1}


def test_people_and_groups_are_known(client: WebClient, slack: FakeSlack) -> None:
    """Guests are told apart from members, and who is in a group is told."""
    slack.people["U0GUEST"] = {"is_restricted": True}
    slack.usergroups["S0ML"] = ["U0ADA"]
    assert client.users_info(user="U0ADA")["user"]["is_restricted"] is False
    assert client.users_info(user="U0GUEST")["user"]["is_restricted"] is True
    assert client.usergroups_users_list(usergroup="S0ML")["users"] == ["U0ADA"]
    assert code(lambda: client.usergroups_users_list(usergroup="S0X")) == "no_such_subteam"


def respond(url: str, body: bytes = b'{"text": "done"}') -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_response_url_is_good_five_times(slack: FakeSlack) -> None:
    """The sixth answer to an interaction is refused, and every answer after half an hour."""
    url = slack.response_url()
    assert [respond(url) for _ in range(6)] == [(200, "ok")] * 5 + [(404, "used_url")]
    assert respond(slack.response_url(age_s=1_801)) == (404, "expired_url")
    assert [said["user"] for said in slack.responses] == ["U0ADA"] * 5


def test_too_many_calls_are_refused(client: WebClient, slack: FakeSlack) -> None:
    """The 51st update within a minute is answered with 429, and whoever does not wait is remembered."""
    ts = client.chat_postMessage(channel="C0GENERAL", text="a card")["ts"]
    slack.rates.enforce()
    for number in range(50):
        client.chat_update(channel="C0GENERAL", ts=ts, text=f"{number}")
    with pytest.raises(SlackApiError) as met:
        client.chat_update(channel="C0GENERAL", ts=ts, text="one too many")
    assert met.value.response.status_code == 429
    assert 1 <= int(met.value.response.headers["Retry-After"]) <= 61
    with pytest.raises(SlackApiError):
        client.chat_update(channel="C0GENERAL", ts=ts, text="at once")
    assert slack.rates.too_soon == ["chat.update"]


def test_an_answer_is_lost_after_the_call_was_done(client: WebClient, slack: FakeSlack) -> None:
    """What happens between Slack's receipt and its answer can be chosen, for the Web API and for uploads."""
    happened: list[float] = []
    slack.fail("chat.postMessage", Failure(lost=True, then=lambda: happened.append(time.monotonic())))
    with pytest.raises(ConnectionError):
        client.chat_postMessage(channel="C0GENERAL", text="a card")
    assert (len(slack.posted()), len(happened)) == (1, 1)
    slack.fail("upload", Failure(lost=True), Failure(status=503))
    with pytest.raises(ConnectionError):
        upload(client, b"onnx")
    with pytest.raises(urllib.error.HTTPError):
        upload(client, b"onnx")
    assert list(slack.bodies.values()) == [b"onnx", b""]
