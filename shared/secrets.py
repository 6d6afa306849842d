"""The key of this installation, and the secrets that follow from it."""

import base64
import hmac
import os
import secrets
from contextlib import suppress
from hashlib import sha256

from shared.settings import Settings

_BYTES = 32


def secret_of(settings: Settings, purpose: str) -> bytes:
    """The secret [32 bytes] for a purpose such as `intake:billing`; the same on every machine with the same key."""
    return hmac.digest(_key(settings), f"lml:{purpose}".encode(), "sha256")


def shown(secret: bytes) -> str:
    """A secret as it is handed to people and services (Standard Webhooks: whsec_ and base64)."""
    return "whsec_" + base64.b64encode(secret).decode()


def _key(settings: Settings) -> bytes:
    """`LML_SECRET_KEY`, else the key in the home, which is made when it is first needed."""
    if settings.secret_key is not None:
        return sha256(settings.secret_key.get_secret_value().encode()).digest()
    file = settings.home_folder / "secret.key"
    with suppress(FileNotFoundError):
        return bytes.fromhex(file.read_text())
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secrets.token_hex(_BYTES))
    with suppress(FileExistsError):  # another process was quicker: its key counts
        os.link(new, file)
    new.unlink()
    return bytes.fromhex(file.read_text())
