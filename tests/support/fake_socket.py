"""The other end of Socket Mode: WebSockets that hand out envelopes, each to one of them, and hear the answers."""

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
import uuid
from itertools import count
from typing import Any

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class FakeSocket:
    """Listens on a free port; use as a context manager. `acknowledged` holds each envelope's payload by its id.

    Several bots may connect, as with the real Slack: each envelope goes to any one of them, here in turn.
    """

    def __init__(self) -> None:
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.connected = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self._turn = count()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """What `apps.connections.open` answers."""
        return f"ws://127.0.0.1:{self._listening.getsockname()[1]}/link"

    @property
    def connections(self) -> int:
        """How many bots are connected."""
        return len(self._clients)

    def __enter__(self) -> "FakeSocket":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        for client in self._clients:
            client.close()

    def send_command(self, payload: dict[str, str]) -> str:
        """Deliver a slash command; returns the envelope's id."""
        return self.send("slash_commands", payload)

    def send(self, kind: str, payload: dict[str, Any], **more: Any) -> str:
        """Deliver an envelope of a kind (`slash_commands`, `interactive`, `events_api`) to one of the bots.

        A retry of an event has `retry_attempt` and `retry_reason` among the others.
        """
        envelope = str(uuid.uuid4())
        clients = list(self._clients)
        message = {"type": kind, "envelope_id": envelope, "payload": payload, "accepts_response_payload": True, **more}
        self._frame(clients[next(self._turn) % len(clients)], 1, json.dumps(message).encode())
        return envelope

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask every bot to connect anew, as Slack does every few hours."""
        for client in list(self._clients):
            self._frame(client, 1, json.dumps({"type": "disconnect", "reason": reason}).encode())

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(client,), daemon=True).start()

    def _serve_one(self, client: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            came = client.recv(4096)
            if not came:
                return
            request += came
        lines = [line.partition(":") for line in request.decode().split("\r\n")]
        key = next(value.strip() for name, _, value in lines if name.lower() == "sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        client.sendall(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        self._frame(client, 1, json.dumps({"type": "hello", "num_connections": len(self._clients) + 1}).encode())
        self._clients.append(client)
        self.connected.set()
        stream = client.makefile("rb")
        while self._hear(client, stream):
            pass
        with contextlib.suppress(ValueError):
            self._clients.remove(client)

    def _hear(self, client: socket.socket, stream: Any) -> bool:
        """Read one masked frame; False at the end."""
        try:
            head = stream.read(2)
            if len(head) < 2:
                return False
            size = head[1] & 0x7F
            if size == 126:
                size = struct.unpack("!H", stream.read(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", stream.read(8))[0]
            mask, body = stream.read(4), stream.read(size)
        except (OSError, ValueError):
            return False
        text = bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))
        kind = head[0] & 0x0F
        if kind == 9:
            self._frame(client, 10, text)
        if kind == 1:
            answer = json.loads(text)
            self.acknowledged[answer["envelope_id"]] = answer.get("payload") or {}
        return kind != 8

    def _frame(self, client: socket.socket, kind: int, body: bytes) -> None:
        size = len(body)
        if size < 126:
            head = bytes([size])
        elif size < 65_536:
            head = b"\x7e" + struct.pack("!H", size)
        else:
            head = b"\x7f" + struct.pack("!Q", size)
        with self._lock, contextlib.suppress(OSError):
            client.sendall(bytes([0x80 | kind]) + head + body)
