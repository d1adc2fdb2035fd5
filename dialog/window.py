"""Which turns a prompt holds: the newest that fit, dropped in batches.

When the window is full, old turns leave together until it is half empty. What is left then stays
the beginning of the prompt for several turns, so that its tokens need not be computed again; and
since the rule is a fold over the turns, the next turn drops the same ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm.chat import ChatModel, Message
from llm.errors import ContextOverflowError

_KEPT_SHARE = 0.5


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
) -> Window:
    """Return the prompt for the message `last`; `reserve` tokens stay free for the answer.

    Raises:
        ContextOverflowError: the message does not even fit alone; says by how much.
    """
    alone = model.count_tokens([*system, last])
    limit = model.context_size - reserve
    if alone > limit:
        raise ContextOverflowError(num_tokens=alone, limit=limit)
    sizes = [model.count_tokens(turn) for turn in turns]
    start = 0
    for end in range(1, len(sizes) + 1):
        # The message asked at that time is taken to be as long as this one: only its size is known.
        if alone + sum(sizes[start:end]) > limit:
            while start < end and alone + sum(sizes[start:end]) > _KEPT_SHARE * limit:
                start += 1
    kept = [message for turn in turns[start:] for message in turn]
    return Window(messages=(*system, *kept, last), dropped_turns=start)
