"""Classes of work: which slot of which worker may take a run, and how urgent the run is."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import Any

from shared.specs import AnySpec, Device, TrainSpec

SHORT_BYTES = 4 * 1024**2
"""A table up to this size is trained on in seconds, unless the words ask for more."""
SHORT_TIME_S, SHORT_EPOCHS = 60.0, 200
_QUICK_BYTES = 256 * 1024**2


class Length(StrEnum):
    """How long a run probably takes; a slot for short ones never has a long one in front of them."""

    SHORT = "short"  # seconds
    LONG = "long"  # minutes and more


class Priority(IntEnum):
    """The class of a waiting run; a higher one goes first, whoever asks."""

    LOW = 0  # sweeps
    NORMAL = 1  # other services
    HIGH = 2  # people
    URGENT = 3  # before everything else

    @property
    def word(self) -> str:
        """As people write it."""
        return self.name.lower()


PRIORITIES = {priority.word: priority for priority in reversed(Priority)}


@dataclass(frozen=True)
class Slot:
    """A place for one run on a worker: the work that it takes, and the GPU that it is bound to, if any."""

    devices: tuple[Device, ...] = (Device.AUTO, Device.CPU, Device.GPU)
    lengths: tuple[Length, ...] = (Length.SHORT, Length.LONG)
    gpu: str | None = None
    """What `CUDA_VISIBLE_DEVICES` says for its runs; None for a slot without a GPU."""

    @property
    def device(self) -> Device:
        """What its runs compute on."""
        return Device.CPU if self.gpu is None else Device.GPU

    def takes(self, device: Device, length: Length) -> bool:
        """Whether a run of this class may have it."""
        return device in self.devices and length in self.lengths

    def plain(self) -> dict[str, Any]:
        """For the log."""
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Slot":
        """The counterpart of `plain`."""
        return cls(
            devices=tuple(map(Device, plain["devices"])),
            lengths=tuple(map(Length, plain["lengths"])),
            gpu=plain.get("gpu"),
        )


def worker_slots(
    gpus: Sequence[str], *, devices: Iterable[Device] | None = None, long_slots: int, short_slots: int
) -> list[Slot]:
    """The slots of a worker: one for each GPU, or `long_slots` without one, and `short_slots` for short runs only.

    `devices` are the classes that it takes; by default those of its machine.
    """
    wanted = tuple(devices or ((Device.GPU, Device.CPU) if gpus else (Device.CPU,)))
    taken = (Device.AUTO, *wanted)
    if gpus and Device.GPU in wanted:
        slots = [Slot(devices=taken, gpu=gpu) for gpu in gpus]
    else:
        slots = [Slot(devices=taken) for _ in range(long_slots)]
    on_cpu = tuple(device for device in taken if not (gpus and device is Device.GPU))
    return slots + [Slot(devices=on_cpu, lengths=(Length.SHORT,)) for _ in range(short_slots)]


def length_of(spec: AnySpec, *, dataset_size_bytes: int | None) -> Length:
    """How long a run probably takes, by what was asked and the size of its dataset."""
    size = dataset_size_bytes or 0
    if not isinstance(spec, TrainSpec):
        return Length.SHORT if size <= _QUICK_BYTES else Length.LONG
    brief = (spec.time_s or 0.0) <= SHORT_TIME_S and (spec.epochs or 0) <= SHORT_EPOCHS
    return Length.SHORT if brief and size <= SHORT_BYTES else Length.LONG


def device_of(spec: AnySpec) -> Device:
    """Which slots a run may have."""
    return spec.device if isinstance(spec, TrainSpec) else Device.AUTO
