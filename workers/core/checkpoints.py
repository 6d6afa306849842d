"""What an interrupted training goes on from: files that hold all that it had learnt.

A checkpoint is two files: `000007.safetensors` with the arrays, `000007.json` with the plain values and the size and
hash of everything. Each is written to a temporary name, synced and renamed, the JSON last, so that what bears its name
was whole once. The last two are kept: should the newest be damaged all the same, the one before is there.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # whoever only says where checkpoints lie needs none of it
    import numpy as np

FORMAT = 1
"""Raised whenever what stands in the files changes, or how a model goes on from it; no other format is read."""
KEPT = 2


@dataclass(frozen=True)
class Checkpoints:
    """Where an attempt keeps its checkpoints, and what it may go on from."""

    folder: Path
    """Of this attempt alone; made when the first one is written."""
    resume_from: Sequence[Path] = ()
    """The folders of earlier attempts, the best one first; those that do not exist are passed over."""
    every_s: float = 20.0
    """Seconds from one checkpoint to the next."""


@dataclass(frozen=True)
class Part:
    """What one stage of a training has done until now."""

    arrays: Mapping[str, "np.ndarray"] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)
    """What JSON knows; numbers may be infinite."""
    detail: str = ""
    """In words."""


@dataclass(frozen=True)
class Checkpoint:
    """A training as it stood."""

    fits: Mapping[str, str]
    """What a training that goes on from here has in common with the one that wrote it."""
    threads: int
    parts: Mapping[str, Part]
    """In the order in which they were begun."""

    @property
    def detail(self) -> str:
        """Where it stood, in words."""
        name, part = [(name, part) for name, part in self.parts.items() if part.arrays][-1]
        return f"{name}, {part.detail}" if part.detail else name


class Damaged(Exception):
    """A checkpoint is not what was written; says in words what is wrong."""


def write_checkpoint(folder: Path, number: int, checkpoint: Checkpoint) -> None:
    """Write it as number `number`, and drop all but the last two. Raises OSError; the ones before stay as they are."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"{name}/{key}": array for name, part in checkpoint.parts.items() for key, array in part.arrays.items()}
    content = save(arrays)
    said = {
        "format": FORMAT,
        "fits": dict(checkpoint.fits),
        "threads": checkpoint.threads,
        "parts": [
            {"name": name, "plain": dict(part.plain), "detail": part.detail} for name, part in checkpoint.parts.items()
        ],
        "arrays": {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
    }
    path = _json_of(folder, number)
    _write(path.with_suffix(".safetensors"), content)
    _write(path, json.dumps({**said, "sha256": _hash(said)}).encode())
    for old in numbers(folder)[KEPT:]:
        with suppress(OSError):
            _json_of(folder, old).unlink()
            _json_of(folder, old).with_suffix(".safetensors").unlink()


def read_checkpoint(folder: Path, number: int) -> Checkpoint:
    """The checkpoint of that number. Raises Damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = _json_of(folder, number)
    try:
        said = json.loads(path.read_bytes())
        if said.pop("sha256") != _hash(said):
            raise Damaged("its values are not those that were written")
        if said["format"] != FORMAT:
            raise Damaged(f"it has format {said['format']}, and {FORMAT} is read here")
        content, written = path.with_suffix(".safetensors").read_bytes(), said["arrays"]
        if len(content) != written["size_bytes"]:
            raise Damaged(f"{len(content):,} of its {written['size_bytes']:,} bytes are left")
        if hashlib.sha256(content).hexdigest() != written["sha256"]:
            raise Damaged("its bytes are not those that were written")
        arrays: dict[str, dict[str, np.ndarray]] = {one["name"]: {} for one in said["parts"]}
        for key, array in load(content).items():
            name, _, inner = key.partition("/")
            arrays[name][inner] = array
        parts = {one["name"]: Part(arrays[one["name"]], one["plain"], one["detail"]) for one in said["parts"]}
        return Checkpoint(said["fits"], said["threads"], parts)
    except OSError as error:
        raise Damaged(f"it cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise Damaged("it is no checkpoint") from error


def numbers(folder: Path) -> list[int]:
    """The checkpoints of a folder, the newest first."""
    return sorted((int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal()), reverse=True)


def _json_of(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.json"


def _hash(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write a file so that its name only ever stands for the whole of it, also after a power cut."""
    temporary = path.with_suffix(f"{path.suffix}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
