"""Datasets as the log knows them: by the hash of their bytes."""

from sqlalchemy import Connection, select

from shared.access import Principal
from shared.errors import refused
from shared.log import tables
from shared.log.runs import visible_to


def require_dataset_of_team(connection: Connection, principal: Principal, sha256: str) -> None:
    """Refuse a dataset named by its hash unless a run that the principal may see has read it."""
    used = tables.runs.c.dataset_sha256 == sha256
    if connection.execute(select(tables.runs.c.id).where(used, visible_to(principal)).limit(1)).first() is not None:
        return
    raise refused(
        "dataset_unknown",
        f"By its hash, a dataset is one that a run of the team has read; sha256:{sha256[:100]} is not.",
        "Name a file of the datasets folder, and use the hash that its run shows afterwards.",
    )
