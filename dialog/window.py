"""Which turns a prompt holds: the newest that fit, dropped in batches.

The history may fill `_HISTORY_SHARE` of the context. Where it would be more, old turns leave
together until half of that is free. What is left then stays the beginning of the prompt for several
turns, so that its tokens need not be computed again: the rule is a fold over the recorded turns,
and the next turn drops the same ones. Only a message too long for the rest makes more of them go.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm.chat import ChatModel, Message
from llm.errors import ContextOverflowError

_HISTORY_SHARE = 0.8
_KEPT_SHARE = 0.5
_PROBE = Message(role="user", content="x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The messages of a prompt and how many early turns are no longer among them."""

    messages: tuple[Message, ...]
    dropped_turns: int


def fit(
    system: Sequence[Message],
    turns: Sequence[Sequence[Message]],
    last: Message,
    *,
    model: ChatModel,
    reserve: int,
    can_roll: bool = False,
) -> Window:
    """Return the prompt for the message `last`; `reserve` tokens stay free for the answer.

    A message that does not even fit alone is the whole prompt where the model's cache can roll.

    Raises:
        ContextOverflowError: it cannot; says by how much the message is too long.
    """
    alone = model.count_tokens([*system, last])
    limit = model.context_size - reserve
    if alone > limit:
        if not can_roll:
            raise ContextOverflowError(num_tokens=alone, limit=limit)
        return Window(messages=(*system, last), dropped_turns=len(turns))
    around = model.count_tokens([_PROBE])
    sizes = [model.count_tokens([*turn, _PROBE]) - around for turn in turns]
    start = _folded_start(sizes, int(_HISTORY_SHARE * limit))
    while start < len(sizes) and alone + sum(sizes[start:]) > limit:
        start += 1
    kept = [message for turn in turns[start:] for message in turn]
    return Window(messages=(*system, *kept, last), dropped_turns=start)


def _folded_start(sizes: Sequence[int], room: int) -> int:
    """Return the first turn that stays, from the sizes of the turns alone."""
    start = 0
    for end in range(1, len(sizes) + 1):
        if sum(sizes[start:end]) > room:
            while start < end and sum(sizes[start:end]) > _KEPT_SHARE * room:
                start += 1
    return start


def text_tokens(model: ChatModel, text: str) -> int:
    """Return the tokens of a text alone, without the template around it."""
    empty, full = (
        model.count_tokens([Message(role="assistant", content=content)]) for content in ("", text)
    )
    return full - empty
