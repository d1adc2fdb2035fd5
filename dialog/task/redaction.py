"""Sensitive words of a message are put away before anything of it is stored.

    "my card is 4242 4242 4242 4242" → "my card is ⟨card:4242⟩", and the digits into the vault

Trackers, models and the log see the placeholder. The vault lives in memory only: after a restart
the value is asked for again.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from dialog.bot.definition import BotDefinition, Fill, SlotDefinition
from dialog.slot_types.base import Candidate
from dialog.slot_types.card import CARD_DIGITS, is_luhn, placeholder
from dialog.task.commands import JSON, Command, Set, SlotEdit
from dialog.task.scope import text_context
from dialog.task.state import DialogState, TaskFrame

_TELLING_TYPES = frozenset({"email", "phone", "regex"})
"""Types that recognise their values anywhere, also where nobody asked for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """A message fit to be stored; `placeholders` maps each of them to the slot it is a value of.

    The slot is "" for what nobody wanted to know.
    """

    text: str
    placeholders: Mapping[str, str] = field(default_factory=dict)


class Vault:
    """What placeholders stand for, by conversation; never written to disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: dict[tuple[str, str], JSON] = {}

    def keep(self, conversation_id: str, placeholder: str, secret: JSON) -> None:
        """Remember what a placeholder stands for."""
        with self._lock:
            self._secrets[conversation_id, placeholder] = secret

    def resolve(self, conversation_id: str, value: JSON) -> JSON:
        """Return what a value stands for; one that is no placeholder stands for itself.

        Raises:
            KeyError: it is a placeholder, and what it stood for is gone.
        """
        if isinstance(value, str) and value.startswith("\u27e8"):
            with self._lock:
                return self._secrets[conversation_id, value]
        return value

    def forget(self, conversation_id: str) -> None:
        """Drop all that was kept for a conversation."""
        with self._lock:
            for key in [key for key in self._secrets if key[0] == conversation_id]:
                del self._secrets[key]


def redact(
    bot: BotDefinition, state: DialogState, conversation_id: str, text: str, vault: Vault
) -> Redacted:
    """Return the message with placeholders for what is sensitive in it."""
    placeholders: dict[str, str] = {}
    taken: list[_Secret] = []
    whole = text
    for secret in sorted(_secrets(bot, state, text), key=lambda s: (-s.start, not s.slot)):
        if any(secret.start < other.end and other.start < secret.end for other in taken):
            continue
        taken.append(secret)
        name = secret.name or f"\u27e8{secret.slot}:{len(taken)}\u27e9"
        placeholders[name] = secret.slot
        vault.keep(conversation_id, name, secret.value)
        whole = whole[: secret.start] + name + whole[secret.end :]
    return Redacted(text=whole, placeholders=placeholders)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Secret:
    start: int
    end: int
    slot: str
    value: JSON
    name: str = ""  # its placeholder, where its type gives one


def _secrets(bot: BotDefinition, state: DialogState, text: str) -> list[_Secret]:
    found: list[_Secret] = []
    card_slot = ""
    for frame in reversed(state.frames):
        for slot in bot.tasks[frame.task].slots.values():
            if slot.type.name == "card":
                card_slot = card_slot or slot.name
            elif slot.sensitive:
                found += [
                    _Secret(start=c.start, end=c.end, slot=slot.name, value=c.value)
                    for c in _candidates(bot, state, frame, slot, text)
                ]
    for match in CARD_DIGITS.finditer(text):
        digits = "".join(character for character in match[0] if character.isdigit())
        name = placeholder(digits)
        # A number with a slip in it is put away too, and is a value of nothing.
        slot_name = card_slot if is_luhn(digits) else ""
        found.append(
            _Secret(start=match.start(), end=match.end(), slot=slot_name, value=digits, name=name)
        )
    return found


def _candidates(
    bot: BotDefinition, state: DialogState, frame: TaskFrame, slot: SlotDefinition, text: str
) -> list[Candidate]:
    pair = state.open_pair
    is_asked = pair is not None and pair.frame == frame.id and pair.slot == slot.name
    if not is_asked and (slot.fill is not Fill.ANYTIME or slot.type.name not in _TELLING_TYPES):
        return []
    context = text_context(bot, state, frame, slot)
    found = [c for c in slot.type.parse(text, context) if c.violation is None and not c.is_negated]
    return found if slot.type.name in _TELLING_TYPES else found[:1]


def with_placeholders(said: Redacted, commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """Return the commands with the values of sensitive slots, which no tracker has seen."""
    secret = {slot: name for name, slot in said.placeholders.items() if slot}
    if not secret:
        return commands
    kept = tuple(c for c in commands if not (isinstance(c, SlotEdit) and c.slot in secret))
    kept = tuple(c for c in kept if c.head != "unclear")
    return (*kept, *(Set(slot=slot, value=name, raw=name) for slot, name in secret.items()))
