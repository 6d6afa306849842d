"""The buttons below a run's card: what can be done with it in the state that it is in. Pure."""

from collections.abc import Iterator, Sequence

from bot.slack import blocks as kit
from bot.slack.blocks import Block, Element
from bot.slack.views import ids
from shared.log.runs import Artifact, Run
from shared.log.states import RunState
from shared.specs import CompareSpec, DescribeSpec, EvaluateSpec, TrainSpec

_MODEL = "model.onnx"


def run_buttons(run: Run, *, page: str = "", artifacts: Sequence[Artifact] = ()) -> Block:
    """The buttons of a run. `page` is the address of the page that shows all of it."""
    elements = [*_acts(run, artifacts), details_button(run, page)]
    return {"type": "actions", "elements": elements}


def words_button(label: str, name: str, words: str, *, style: str = "", confirm: Element | None = None) -> Element:
    """A button that does what its words say, as if they were typed."""
    more: Element = {"style": style} if style else {}
    more |= {"confirm": confirm} if confirm else {}
    return {"type": "button", "text": kit.label(label), "action_id": ids.WORDS + name, "value": words, **more}


def open_button(label: str, action_id: str, run: int | None = None, *, style: str = "") -> Element:
    """A button that opens a form about a run."""
    more: Element = {"style": style} if style else {}
    more |= {"value": str(run)} if run is not None else {}
    return {"type": "button", "text": kit.label(label), "action_id": action_id, **more}


def cancel_button(run: Run, *, style: str = "danger") -> Element:
    """Stops a run, once that is confirmed."""
    begun = run.state in (RunState.RUNNING, RunState.GATHERING)
    what = "It is running, and stops within seconds." if begun else "It has not started yet."
    asked = confirm(f"Cancel run {run.id}?", f"Run {run.id} ({run.kind}) will not end. {what}", yes="Cancel the run")
    return words_button("Cancel", "cancel", f"cancel {run.id}", style=style, confirm={**asked, "style": "danger"})


def promote_button(number: int, dataset: str, *, numbered: bool = False) -> Element:
    """Names a model for the whole team, once that is confirmed; `numbered` where it stands among other runs."""
    of = kit.cut(dataset, 80) or "its dataset"
    text = f"For the whole team, champion of {of} then means run {number}: predictions by that name use its model."
    asked = confirm(f"Promote run {number} to champion?", text, yes="Promote")
    name = f"Promote {number}…" if numbered else "Promote…"
    return words_button(name, "promote", f"promote {number}", confirm=asked)


def details_button(run: Run, page: str = "") -> Element:
    """Opens the page of a run, or shows it where there is no page."""
    if not page:
        return words_button("Details", "show", f"show {run.id}")
    return {"type": "button", "text": kit.label("Details"), "action_id": ids.DETAILS, "url": page}


def confirm(title: str, text: str, *, yes: str) -> Element:
    """What Slack asks before a click counts; it repeats exactly what will be done."""
    return {
        "title": kit.label(title, characters=100),
        "text": kit.label(text, characters=300),
        "confirm": kit.label(yes, characters=30),
        "deny": kit.label("Not now", characters=30),
    }


def _acts(run: Run, artifacts: Sequence[Artifact]) -> Iterator[Element]:
    if not run.state.ended:
        if not run.cancel_requested:
            yield cancel_button(run)
    elif run.state is RunState.SUCCEEDED:
        yield from _with_result(run, artifacts)
    else:
        yield words_button("Retry", "retry", f"retry {run.id}")
        if isinstance(run.spec, TrainSpec):
            yield open_button("Change…", ids.OPEN_CHANGE, run.id)


def _with_result(run: Run, artifacts: Sequence[Artifact]) -> Iterator[Element]:
    spec = run.spec
    if isinstance(spec, TrainSpec):
        if not artifacts or any(artifact.name == _MODEL for artifact in artifacts):
            yield open_button("Predict…", ids.OPEN_PREDICT, run.id, style="primary")
            yield open_button("Compare with…", ids.OPEN_COMPARE, run.id)
            yield promote_button(run.id, run.dataset_name or spec.dataset)
        yield open_button("Change…", ids.OPEN_CHANGE, run.id)
    elif isinstance(spec, CompareSpec):
        best = (run.result or {}).get("best")
        if isinstance(best, int):
            yield promote_button(best, run.dataset_name or "", numbered=True)
    elif isinstance(spec, DescribeSpec):
        yield open_button("Train on it…", ids.OPEN_CHANGE, run.id, style="primary")
    elif isinstance(spec, EvaluateSpec):
        yield open_button("Predict…", ids.OPEN_PREDICT, spec.run)
