"""Forms: opened at once with a loading view, filled when their data are there, and done as the words they stand for.

What a form keeps of where it was opened is state, not proof: whoever sends it is asked again who they are.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.again import bytes_of
from bot.cards import Card
from bot.desk import Desk
from bot.grammar import quoted
from bot.slack import form_data
from bot.slack.answering import Answers
from bot.slack.asked import Asked, SharedFile, of_click, of_submission
from bot.slack.command import CommandDesk, Reply
from bot.slack.form_data import Heads
from bot.slack.named_files import file_name
from bot.slack.views import ids
from bot.slack.views.compare_modal import CompareForm, compare_loading, compare_modal
from bot.slack.views.fields import Place, View, errors, found, notice, uploaded, values_of
from bot.slack.views.predict_modal import PredictForm, predict_loading, predict_modal
from bot.slack.views.train_modal import TrainForm, problems_at, train_loading, train_modal
from bot.slack.web import LOST, code_of, reason_of
from shared.access import authorize
from shared.errors import LmlError, Problem, RefusedWords, one_problem
from shared.log import runs
from shared.log.choices import remember
from shared.permit import audited
from shared.specs import dataset_of

logger = logging.getLogger(__name__)

_CLICK_AGAIN = Card(
    title="That took too long",
    problem=Problem(
        "view_too_late",
        "Slack opens a form within 3 s of a click; this time it did not.",
        "Click again, or type the command.",
    ),
)


@dataclass(frozen=True)
class _Kind:
    """One kind of form: the verb that it stands for, and its first view."""

    verb: str
    loading: Callable[..., View]


_KINDS = {
    ids.TRAIN: _Kind("train", train_loading),
    ids.COMPARE: _Kind("compare", compare_loading),
    ids.PREDICT: _Kind("predict", predict_loading),
}
_OPENS = {
    ids.OPEN_TRAIN: ids.TRAIN,
    ids.OPEN_CHANGE: ids.TRAIN,
    ids.OPEN_COMPARE: ids.COMPARE,
    ids.OPEN_PREDICT: ids.PREDICT,
}


class Forms:
    """Opens forms and does what they are sent with.

    `changed` is called for whoever has done something; `bot_user` is the bot's own id, whose files are no datasets.
    """

    def __init__(
        self,
        desk: CommandDesk,
        client: WebClient,
        heads: Heads,
        answers: Answers,
        *,
        bot_user: str = "",
        changed: Callable[[Asked], None] = lambda _asked: None,
    ) -> None:
        self._desk, self._client, self._heads, self._answers = desk, client, heads, answers
        self._bot_user, self._changed = bot_user, changed

    def open(self, asked: Asked, callback_id: str, place: Place) -> None:
        """Open a form with what `asked.trigger_id` allows, once and within 3 s; its data follow."""
        view = _KINDS[callback_id].loading(place=place)
        try:
            answer = self._client.views_open(trigger_id=asked.trigger_id or "", view=view)
        except (SlackApiError, *LOST) as error:
            logger.warning("A form could not be opened: %s.", reason_of(error))
            self._answers.tell(asked, _CLICK_AGAIN)
            return
        opened = answer.get("view") or {}
        self._answers.behind(lambda: self._fill(asked, opened, callback_id, place))

    def chosen(self, asked: Asked, view: Mapping[str, Any], dataset: str) -> None:
        """Another dataset was chosen in a form of `train`: show its columns."""
        form = replace(TrainForm.of_view(view), dataset=dataset)
        self._answers.behind(lambda: self._fill(asked, view, ids.TRAIN, Place.of(view), form=form))

    def names(self, asked: Asked, query: str) -> dict[str, Any]:
        """The datasets whose names hold what somebody types."""
        try:
            desk = self._desk.desk_of(asked)
            self._require(desk, "train", run=None)
            return found(form_data.dataset_names(desk, []), query)
        except LmlError:
            return {"options": []}

    def sent(self, payload: Mapping[str, Any], ack: Ack) -> None:
        """Do what a form was sent with; what is wrong is said at its field."""
        view = payload.get("view") or {}
        callback_id, place = str(view.get("callback_id")), Place.of(view)
        try:
            words, files = _words(callback_id, view, place)
        except RefusedWords as error:
            ack(**errors(view, _at_fields(callback_id, error.problems)))
            return
        text = " ".join(quoted(word) for word in words)
        asked = of_submission(payload, text=text, channel_id=place.channel or None, files=files)
        asked = replace(asked, like=place.run if callback_id == ids.TRAIN else None)
        with self._desk.arrivals.waits_for_its_answer():
            reply = self._desk.answer(asked)
        if reply.problems and reply.run is None:
            ack(**errors(view, _at_fields(callback_id, reply.problems)))
            return
        ack()
        self._answers.behind(lambda: self._after(asked, view, callback_id, reply))

    def _after(self, asked: Asked, view: Mapping[str, Any], callback_id: str, reply: Reply) -> None:
        if reply.problems or reply.repeated:
            self._answers.tell(asked, reply.card)
        if callback_id == ids.TRAIN:
            with self._desk.log.write() as connection:
                form = TrainForm.of_view(view)
                form = replace(form, dataset=file_name(asked.files[0])) if asked.files else form
                remember(connection, form.plain(), team_id=asked.team_id, user_id=asked.user_id)
        self._changed(asked)

    def _fill(
        self, asked: Asked, opened: Mapping[str, Any], callback_id: str, place: Place, *, form: TrainForm | None = None
    ) -> None:
        """Put the data into a view that stands open."""
        verb = _KINDS[callback_id].verb
        try:
            desk = self._desk.desk_of(asked)
            self._require(desk, verb, run=place.run)
            view = self._filled(desk, callback_id, place, form)
        except LmlError as error:
            view = _refused(callback_id, place, one_problem(error.problems))
        except Exception:  # the border: nobody looks at a loading view for ever
            logger.exception("A form could not be filled.")
            broken = Problem("internal_error", "LML itself broke on this form.", "Type the command instead.")
            view = _refused(callback_id, place, broken)
        self._show(opened, view)

    def _require(self, desk: Desk, verb: str, *, run: int | None) -> None:
        """Whether whoever looks at a form may do what it stands for; a refusal is noted."""
        with audited(self._desk.log, desk.principal, verb, words=f"{verb} (form)", run=run):
            authorize(desk.principal, verb, owner=desk.principal.user_id)

    def _filled(self, desk: Desk, callback_id: str, place: Place, form: TrainForm | None) -> View:
        shared = form_data.files_of_channel(self._client, place.channel, but_of=self._bot_user)
        names = form_data.dataset_names(desk, shared)
        if callback_id == ids.TRAIN:
            return self._train(desk, place, form, names, shared)
        with desk.log.read() as connection:
            run = runs.find(connection, desk.principal, place.run or 0)
            if callback_id == ids.PREDICT:
                return predict_modal(run, place=place, datasets=names)
            return compare_modal(run, form_data.rivals(connection, desk, run), place=place, datasets=names)

    def _train(
        self, desk: Desk, place: Place, form: TrainForm | None, names: list[str], shared: list[SharedFile]
    ) -> View:
        kept = None
        with desk.log.read() as connection:
            run = None if place.run is None else runs.find(connection, desk.principal, place.run)
            if form is None and run is not None:
                form = TrainForm.of_run(run)
            elif form is None:
                form = form_data.last_form(connection, desk)
                form = replace(form, dataset="", target="") if place.file else form
        if run is not None and form.dataset == dataset_of(run.spec):
            kept = bytes_of(desk, run)
        if kept is not None:
            columns, note = form_data.columns_read(kept, form.dataset)
            return train_modal(form, place=place, datasets=names, columns=columns, note=note, kept=True)
        if place.file:
            shared = [SharedFile(place.file, place.name)]
        name = place.name if place.file else form.dataset
        columns, note = form_data.columns_in(desk, self._heads, name, shared)
        return train_modal(form, place=place, datasets=names, columns=columns, note=note)

    def _show(self, opened: Mapping[str, Any], view: View) -> None:
        """Show it, unless the view was closed or has changed since: then what it shows now is newer."""
        try:
            self._client.views_update(view_id=str(opened.get("id")), hash=str(opened.get("hash")), view=view)
        except SlackApiError as error:
            level = (
                logging.INFO if code_of(error) in ("not_found", "hash_conflict", "view_not_found") else logging.ERROR
            )
            logger.log(level, "A form could not be shown: %s.", code_of(error))
        except LOST as error:
            logger.warning("A form could not be shown: %s.", reason_of(error))


def register(app: App, forms: Forms) -> None:
    """Listen to the buttons that open forms, to what is chosen in them, and to what they are sent with."""

    def opened(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        ack()
        asked = of_click(
            body, action, text=str(action.get("action_id")), channel_id=Place.of(body.get("view") or {}).channel
        )
        number = str(action.get("value") or "")
        place = Place(channel=asked.channel_id or "", run=int(number) if number.isdecimal() else None)
        forms.open(asked, _OPENS.get(str(action.get("action_id")), ids.TRAIN), place)

    def chosen(ack: Ack, body: dict[str, Any], action: dict[str, Any]) -> None:
        ack()
        view = body.get("view") or {}
        if view.get("callback_id") == ids.TRAIN:
            dataset = str((action.get("selected_option") or {}).get("value", ""))
            forms.chosen(_in_view(body), view, dataset)

    def suggested(ack: Ack, body: dict[str, Any]) -> None:
        ack(**forms.names(_in_view(body), str(body.get("value") or "")))

    def sent(ack: Ack, body: dict[str, Any]) -> None:
        forms.sent(body, ack)

    app.action(re.compile(f"^{re.escape(ids.OPEN)}"))(opened)
    app.action(ids.DATASET)(chosen)
    app.options(ids.DATASET)(suggested)
    for callback_id in _KINDS:
        app.view(callback_id)(sent)


def _in_view(body: Mapping[str, Any]) -> Asked:
    """Who does something inside of a form, and where that form was opened."""
    channel = Place.of(body.get("view") or {}).channel or None
    return of_submission(body, text="", channel_id=channel)


def _words(callback_id: str, view: Mapping[str, Any], place: Place) -> tuple[list[str], list[SharedFile]]:
    """The words of what was filled in, and the file that is meant; raises `RefusedWords`."""
    own = uploaded(values_of(view))
    file = SharedFile(*own) if own else SharedFile(place.file, place.name) if place.file else None
    name, files = ("", []) if file is None else (file_name(file), [file])
    if callback_id == ids.TRAIN:
        return TrainForm.of_view(view).words(dataset=name), files
    if callback_id == ids.PREDICT:
        return PredictForm.of_view(view).words(place.run or 0, dataset=name), files
    form = CompareForm.of_view(view)
    return (replace(form, dataset=name) if name else form).words(place.run or 0), files


def _at_fields(callback_id: str, problems: tuple[Problem, ...]) -> dict[str, str]:
    if callback_id == ids.TRAIN:
        return problems_at(problems)
    return {ids.RUNS if callback_id == ids.COMPARE else ids.DATASET: one_problem(problems).sentence()}


def _refused(callback_id: str, place: Place, problem: Problem) -> View:
    title = str(_KINDS[callback_id].loading(place=place)["title"]["text"])
    return notice(callback_id, title, problem.sentence(), place=place)
