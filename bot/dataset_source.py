"""Where a run's dataset came from, where that is not plain from its name. Pure."""

from shared.log.runs import Run


def source_notes(run: Run) -> tuple[str, ...]:
    """What people are told of it: which earlier run had the data, or the address that it came from."""
    source = run.dataset_source or {}
    if source.get("run") is not None:
        return (f"No file is called so here: this is `{source.get('name', '')}` as run {source['run']} read it.",)
    return (f"Read from {source['address']}.",) if source.get("address") else ()
