"""A model rewords what the templates say, under constraints; any doubt, and the template is sent.

The facts are fixed before the model speaks. They are held twice: the decoder can only write a text
in which every value stands, letter for letter, and no digit of its own (a regular expression made
of the values); and what comes is checked again by code that knows nothing of the decoder. So the
slot error rate of what is sent is 0, whatever the model is.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dialog.bot.definition import BotDefinition
from dialog.task.act_words import holds
from dialog.task.acts import Act, ActName
from dialog.task.canonical import digest
from dialog.task.nlg import NLG, TemplateNLG, Utterance
from dialog.task.state import DialogState
from llm.chat import ChatModel, Completion, Message
from llm.decoding.grammar_spec import Regex
from llm.decoding.spec import DecodeSpec, Steer
from llm.errors import LLMError
from llm.sampling_params import SamplingParams

_MAX_TOKENS: Final = 96
_MAX_GROWTH: Final = 60  # characters
_NUMBER: Final = re.compile(r"\d+")
_FREE: Final = r"[^\d\n\x00-\x1f?]{0,80}"
_KEPT: Final = frozenset({ActName.OFFER, ActName.HANDOFF, ActName.NOTIFY_FAILURE})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RephraseParams:
    """How the model is asked; `steer` are scorers of style (FUDGE), by the names of their heads."""

    deadline_s: float = 3.0
    temperature: float = 0.7
    steer: tuple[Steer, ...] = ()

    def __post_init__(self) -> None:
        if not self.deadline_s > 0:
            raise ValueError(f"deadline_s must be > 0, got {self.deadline_s}")


class RephrasingNLG:
    """Words acts by templates, then lets a model say it in other words where the bot wants that."""

    def __init__(
        self,
        model: ChatModel,
        *,
        base: NLG | None = None,
        params: RephraseParams | None = None,
    ) -> None:
        self._model = model
        self._base = base or TemplateNLG()
        self._params = params or RephraseParams()

    def say(self, bot: BotDefinition, state: DialogState, acts: Sequence[Act]) -> Utterance:
        """Return the model's words if they pass the check in time, else the template's."""
        said = self._base.say(bot, state, acts)
        if not said.text or not _may_be_reworded(bot, state, acts):
            return said
        text = self._reworded(bot, state, said)
        problem = problem_of(bot, state, said, text)
        if problem:
            _log.debug("the template was sent: %s", problem)
            return said
        return replace(said, text=text, rephrased_from=said.text)

    def _reworded(self, bot: BotDefinition, state: DialogState, said: Utterance) -> str:
        style = f" Style: {bot.say.style}." if bot.say.style else ""
        messages = (
            Message(
                role="system",
                content="Say the same in other words, as short as it is, in the same language."
                f" Change no name, number, day or time, and add nothing.{style}",
            ),
            Message(role="user", content=said.text),
        )
        params = SamplingParams(
            temperature=self._params.temperature,
            seed=int(digest([state.message_id, said.text], length=8), 16),
            max_tokens=_MAX_TOKENS,
            timeout_s=self._params.deadline_s,
            stop=("\n",),
        )
        is_light = bot.say.rephrase == "light"
        grammar = Regex(pattern=pattern_of(said)) if is_light else None
        spec = DecodeSpec(grammar=grammar, steer=self._params.steer)
        try:
            for part in self._model.stream(messages, params, spec=spec):
                if isinstance(part, Completion):
                    return part.text.strip() if part.finish_reason == "stop" else ""
        except (LLMError, ValueError) as error:
            _log.warning("a reply was not reworded: %s", error)
        return ""


def _may_be_reworded(bot: BotDefinition, state: DialogState, acts: Sequence[Act]) -> bool:
    """Tell whether other words may be used: not for quotes, lists of rows, or a repetition."""
    if bot.say.rephrase == "off" or any(n.kind == "repeat" for n in state.notices):
        return False
    return not any(act.citations or act.key == "answer" or act.name in _KEPT for act in acts)


def must_include(said: Utterance) -> list[str]:
    """Return the words that a rewording must keep, in the order in which they stand."""
    text = said.text
    found = {value for value in said.values if value}
    rest = text
    for value in sorted(found, key=len, reverse=True):
        rest = rest.replace(value, " ")
    found |= set(_NUMBER.findall(rest))  # such as a code in a text of the bot file
    known = [value for value in found if value in text]
    outer = [v for v in known if not any(v != other and v in other for other in known)]
    return sorted(outer, key=text.index)


def pattern_of(said: Utterance) -> str:
    """Return the regular expression of all texts that hold the values and no other digits."""
    end = r"\?" if said.text.rstrip().endswith("?") else "[.!]"
    parts = [re.escape(value) for value in must_include(said)]
    return _FREE + "".join(part + _FREE for part in parts) + end


def problem_of(bot: BotDefinition, state: DialogState, said: Utterance, text: str) -> str:
    """Return why a rewording may not be sent, "" if it may. Independent of how it was made."""
    before = said.text
    if not text:
        return "nothing came in time"
    extra = set(_NUMBER.findall(text)) - set(_NUMBER.findall(before))
    problems = {
        "lacks a value": not holds(text, must_include(said)),
        "has a number that nobody gave": bool(extra),
        "does not ask as much": text.count("?") != before.count("?"),
        "is much longer": len(text) > len(before) + _MAX_GROWTH,
        "speaks of what the bot never speaks of": _is_forbidden(bot, text),
        "names what was not spoken of": _names_another(bot, before, text),
        "was said before": digest(text) in state.said,
    }
    return next((f"{text!r} {what}" for what, is_so in problems.items() if is_so), "")


def _is_forbidden(bot: BotDefinition, text: str) -> bool:
    folded = text.casefold()
    return any(topic.casefold() in folded for topic in bot.behaviour.never)


def _names_another(bot: BotDefinition, before: str, text: str) -> bool:
    """Tell whether a text names a row of a table that the template does not name."""
    folded, old = text.casefold(), before.casefold()
    names = {table.show_name(key).casefold() for table in bot.tables.values() for key in table.rows}
    return any(len(name) > 3 and name in folded and name not in old for name in names)


class ModelChatter:
    """Small talk by a model: a short sentence, no question, no number, nothing said before.

    What does not keep to that is left to a phrase.
    """

    def __init__(self, model: ChatModel, *, deadline_s: float = 3.0, max_words: int = 30) -> None:
        self._model, self._deadline_s, self._max_words = model, deadline_s, max_words

    def chat(self, bot: BotDefinition, state: DialogState, message: str) -> str:
        """Return what to say to a message, "" where a phrase does better."""
        if bot.behaviour.chitchat == "off" or not message:
            return ""
        system = (
            f"You are {bot.name}, an assistant. Answer the remark kindly in one short sentence."
            " State no facts, numbers, prices or promises. Ask nothing."
        )
        messages = (
            Message(role="system", content=system),
            Message(role="user", content=message),
        )
        params = SamplingParams(
            temperature=0.7,
            seed=int(digest([state.message_id, message], length=8), 16),
            max_tokens=48,
            timeout_s=self._deadline_s,
            stop=("\n",),
        )
        try:
            for part in self._model.stream(messages, params):
                if isinstance(part, Completion):
                    return self._kept(bot, state, part.text.strip())
        except (LLMError, ValueError) as error:
            _log.warning("small talk is left to a phrase: %s", error)
        return ""

    def _kept(self, bot: BotDefinition, state: DialogState, text: str) -> str:
        is_long = len(text.split()) > self._max_words
        if not text or is_long or "?" in text or _NUMBER.search(text) or text[-1] not in ".!":
            return ""
        return "" if _is_forbidden(bot, text) or digest(text) in state.said else text
