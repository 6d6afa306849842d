"""The HTTP server itself."""

import http.client
import socket

from support.http_client import Client

from bot.http.server import listen
from shared.settings import Settings


def test_answers_do_not_wait_for_each_other(settings: Settings) -> None:
    """Connections send at once what is written to them: on one that is kept, an answer would else wait 40 ms."""
    with listen(settings) as listening, socket.create_connection(listening.getsockname()[:2]):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_connection_is_kept(client: Client) -> None:
    """Several requests come over one connection, also after one that was refused."""
    connection = http.client.HTTPConnection(client.address.removeprefix("http://"), timeout=10)
    headers = {"Authorization": f"Bearer {client.token}", "Content-Type": "application/json"}
    statuses = []
    for body in ('{"spec": {"kind": "probe"}}', "no json", '{"spec": {"kind": "probe"}}'):
        connection.request("POST", "/v1/runs", body=body, headers=headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [202, 422, 202]
