"""The steps of a run as Slack's `plan` block, whose tasks Slack draws with a mark for each state. Pure."""

from collections.abc import Sequence

from bot.cards import Step, StepState
from bot.slack import blocks as kit
from bot.slack.blocks import Block

MOST_TASKS = 50
TITLE_CHARACTERS = 150
_DETAIL_CHARACTERS = 300


def plan_block(steps: Sequence[Step]) -> Block:
    """The steps, each with what is known of it in its title: details are folded away, and these are what changes."""
    tasks = [_task(at, step) for at, step in enumerate(steps[:MOST_TASKS])]
    return {"type": "plan", "title": plan_title(steps), "tasks": tasks}


def plan_title(steps: Sequence[Step]) -> str:
    """How far the steps are, in our own words."""
    failed = next((step for step in steps if step.state is StepState.ERROR), None)
    if failed is not None:
        return f"Stopped in step {steps.index(failed) + 1} of {len(steps)}"
    done = sum(step.state is StepState.COMPLETE for step in steps)
    if done == len(steps):
        return "All steps are done" if done > 1 else "Done"
    return f"{done} of {len(steps)} steps are done"


def _task(at: int, step: Step) -> Block:
    title = _inert(step.title, 60) or "–"
    detail = _inert(step.detail, _DETAIL_CHARACTERS)
    whole = f"{title} · {detail}" if detail else title
    task: Block = {"task_id": f"step-{at}", "title": whole, "status": step.state.value}
    if len(whole) > TITLE_CHARACTERS:
        task |= {"title": title, "details": kit.rich_text([kit.words(step.detail, characters=_DETAIL_CHARACTERS)])}
    return task


def _inert(text: str, characters: int) -> str:
    return kit.inert(kit.cut(text.replace("\n", " "), characters)).strip()
