"""The other end of Socket Mode: a WebSocket that hands out one envelope at a time and hears the acknowledgements."""

import base64
import hashlib
import json
import socket
import struct
import threading
import uuid
from typing import Any

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class FakeSocket:
    """Listens on a free port; use as a context manager. `acknowledged` holds each envelope's payload by its id."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.connected = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None

    @property
    def url(self) -> str:
        """What `apps.connections.open` answers."""
        return f"ws://127.0.0.1:{self._listening.getsockname()[1]}/link"

    def __enter__(self) -> "FakeSocket":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        if self._client is not None:
            self._client.close()

    def send_command(self, payload: dict[str, str]) -> str:
        """Deliver a slash command; returns the envelope's id."""
        envelope = str(uuid.uuid4())
        self._send({"type": "slash_commands", "envelope_id": envelope, "payload": payload})
        return envelope

    def _serve(self) -> None:
        try:
            client, _ = self._listening.accept()
        except OSError:
            return
        self._client = client
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(4096)
        lines = [line.partition(":") for line in request.decode().split("\r\n")]
        key = next(value.strip() for name, _, value in lines if name.lower() == "sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        client.sendall(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        self._send({"type": "hello", "num_connections": 1})
        self.connected.set()
        stream = client.makefile("rb")
        while self._hear(stream):
            pass

    def _hear(self, stream: Any) -> bool:
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
            self._frame(10, text)
        if kind == 1:
            answer = json.loads(text)
            self.acknowledged[answer["envelope_id"]] = answer.get("payload") or {}
        return kind != 8

    def _send(self, message: dict[str, Any]) -> None:
        self._frame(1, json.dumps(message).encode())

    def _frame(self, kind: int, body: bytes) -> None:
        assert self._client is not None
        size = bytes([len(body)]) if len(body) < 126 else b"\x7e" + struct.pack("!H", len(body))
        self._client.sendall(bytes([0x80 | kind]) + size + body)
