"""Doubles of the chat port, free of torch, and the contract that every `ChatModel` keeps."""

import hashlib
import math
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from llm.chat import (
    ChatModel,
    Completion,
    FinishReason,
    Message,
    TextDelta,
    TextScores,
    TokenLogProb,
    Usage,
)
from llm.decoding.spec import PLAIN, DecodeSpec
from llm.errors import ContextOverflowError
from llm.sampling_params import SamplingParams


class ScriptedChatModel:
    """A `ChatModel` that answers from a list; a "token" is a word.

    `prompts`, `params`, `specs`, `baselines` and `tenants` record what it was given. With an empty
    script it echoes the last message. Several answers are asked for, several are taken from the
    script. Of log-probabilities it knows that each token had a half. `end` says what its
    completions hold beside their text, such as `{"steer_kl": 0.5}`.
    """

    def __init__(self, replies: Sequence[str] = (), *, context_size: int = 4096) -> None:
        self.replies = list(replies)
        self.prompts: list[tuple[Message, ...]] = []
        self.read: list[tuple[tuple[Message, ...], str]] = []
        self.params: list[SamplingParams] = []
        self.specs: list[DecodeSpec] = []
        self.baselines: list[tuple[Message, ...] | None] = []
        self.tenants: list[str] = []
        self.end: dict[str, Any] = {}
        self.name = "scripted"
        self.context_size = context_size

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count words, plus one a message for its role."""
        return sum(1 + len(m.content.split()) for m in messages)

    def read_ahead(self, messages: Sequence[Message], *, tenant: str = "") -> None:
        """Record what was to be read."""
        self.read.append((tuple(messages), tenant))

    def stream(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        *,
        spec: DecodeSpec = PLAIN,
        baseline: Sequence[Message] | None = None,
        cancel: threading.Event | None = None,
        tenant: str = "",
    ) -> Iterator[TextDelta | Completion]:
        """Yield the next scripted reply word by word."""
        prompt_tokens = self.count_tokens(messages)
        left = prompt_tokens - self.context_size + 1
        if left > 0 and params.overflow == "error":
            raise ContextOverflowError(num_tokens=prompt_tokens, limit=self.context_size - 1)
        self.prompts.append(tuple(messages))
        self.params.append(params)
        self.specs.append(spec)
        self.baselines.append(None if baseline is None else tuple(baseline))
        self.tenants.append(tenant)
        done: dict[int, Completion] = {}
        for choice in range(spec.num_choices):
            done[choice] = yield from self._answer(messages, params, cancel, choice)
        first, *others = done.values()
        written = sum(one.usage.completion_tokens for one in done.values())
        usage = replace(first.usage, completion_tokens=written)
        end = {
            "usage": usage,
            "alternatives": tuple(others),
            "left_window": max(0, left),
            **self.end,
        }
        yield replace(first, **end)

    def _answer(
        self,
        messages: Sequence[Message],
        params: SamplingParams,
        cancel: threading.Event | None,
        choice: int,
    ) -> Generator[TextDelta, None, Completion]:
        reply = self.replies.pop(0) if self.replies else messages[-1].content
        said = ""
        finish: FinishReason = "stop"
        tokens: list[TokenLogProb] = []
        for i, word in enumerate(reply.split(" ")):
            if cancel is not None and cancel.is_set():
                finish = "cancelled"
                break
            if params.max_tokens is not None and i >= params.max_tokens:
                finish = "length"
                break
            piece = word if i == 0 else " " + word
            said += piece
            drawn = _even_odds(piece, params.top_logprobs)
            tokens.append(drawn)
            yield TextDelta(
                text=piece, choice=choice, log_probs=(drawn,) if params.logprobs else ()
            )
        return Completion(
            text=said,
            finish_reason=finish,
            usage=Usage(prompt_tokens=self.count_tokens(messages), completion_tokens=len(tokens)),
            seed=(params.seed or 0) + choice,
            prefill_s=0.0,
            decode_s=0.0,
            log_probs=tuple(tokens) if params.logprobs else (),
        )


class LetterScorer:
    """A `TextScorer` to which every byte of a text has a fixed probability, by a seeded hash.

    As good as random weights: what it prefers has no reason, but is always the same. `prefixes` and
    `asked` record what it was given; a "token" is a word, and a prefix is cached as far as the
    longest one before that it begins with.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.name = "letters"
        self.prefixes: list[str] = []
        self.asked: list[tuple[str, ...]] = []
        self._seed = seed

    def score(self, prefix: str, continuations: Sequence[str], *, tenant: str = "") -> TextScores:
        """Return a sum over the letters of each continuation."""
        del tenant
        if not prefix or not all(continuations):
            raise ValueError("a prefix and continuations need at least one token each to be scored")
        words = prefix.split(" ")
        cached = max((_common_words(words, old.split(" ")) for old in self.prefixes), default=0)
        self.prefixes.append(prefix)
        self.asked.append(tuple(continuations))
        return TextScores(
            log_probs=tuple(self._log_prob(prefix, text) for text in continuations),
            computed_tokens=len(words) - cached + sum(len(t.split(" ")) for t in continuations),
            cached_tokens=cached,
        )

    def _log_prob(self, prefix: str, text: str) -> float:
        total = 0.0
        for i in range(len(text)):
            seen = f"{self._seed}|{prefix[-16:]}|{text[: i + 1]}".encode()
            byte = hashlib.blake2b(seen, digest_size=1).digest()[0]
            total += math.log((byte + 1) / 257)
        return total


def _common_words(a: Sequence[str], b: Sequence[str]) -> int:
    same = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        same += 1
    return same


def _even_odds(piece: str, num_top: int) -> TokenLogProb:
    half = math.log(0.5)
    others = ((piece.encode(), half), (b"\xe2\x82", half), (b"", -math.inf))
    top = tuple(TokenLogProb(data=data, log_prob=value) for data, value in others)
    return TokenLogProb(data=piece.encode(), log_prob=half, top=top[:num_top])


class ChatModelContract:
    """Laws of the `ChatModel` port; inherit and provide the fixture `model`."""

    @pytest.fixture
    def model(self) -> ChatModel:
        """Return the model under test."""
        raise NotImplementedError

    def test_stream_ends_with_one_completion_that_holds_all_text(self, model: ChatModel) -> None:
        """Deltas concatenate to the completion's text."""
        parts = list(
            model.stream([Message(role="user", content="Hello.")], SamplingParams(max_tokens=5))
        )
        assert isinstance(parts[-1], Completion)
        deltas = [p for p in parts if isinstance(p, TextDelta)]
        assert len(deltas) == len(parts) - 1
        assert "".join(d.text for d in deltas) == parts[-1].text

    def test_max_tokens_bounds_the_completion(self, model: ChatModel) -> None:
        """No more tokens are written than were allowed."""
        parts = list(
            model.stream(
                [Message(role="user", content="Count from one to ten, please.")],
                SamplingParams(max_tokens=3),
            )
        )
        end = parts[-1]
        assert isinstance(end, Completion)
        assert end.usage.completion_tokens <= 3

    def test_a_set_cancel_event_ends_the_stream(self, model: ChatModel) -> None:
        """A request that is cancelled before it starts writes nothing."""
        cancel = threading.Event()
        cancel.set()
        parts = list(
            model.stream(
                [Message(role="user", content="Hello.")],
                SamplingParams(max_tokens=5),
                cancel=cancel,
            )
        )
        end = parts[-1]
        assert isinstance(end, Completion)
        assert end.finish_reason == "cancelled"
        assert end.text == ""

    def test_a_prompt_longer_than_the_context_is_refused_with_its_size(
        self, model: ChatModel
    ) -> None:
        """The error says by how much."""
        long = "word " * (model.context_size + 1)
        with pytest.raises(ContextOverflowError, match="more than the"):
            list(model.stream([Message(role="user", content=long)], SamplingParams()))

    def test_a_prompt_longer_than_the_context_is_answered_where_it_may_roll(
        self, model: ChatModel
    ) -> None:
        """What the model no longer saw is counted."""
        long = "word " * (model.context_size + 1)
        params = SamplingParams(max_tokens=3, overflow="roll")
        end = list(model.stream([Message(role="user", content=long)], params))[-1]
        assert isinstance(end, Completion)
        assert end.usage.prompt_tokens > model.context_size
        assert end.left_window > 0

    def test_reading_ahead_never_fails(self, model: ChatModel) -> None:
        """Not even where the chat is longer than the context."""
        chat = [Message(role="user", content="Hello.")]
        model.read_ahead([*chat, Message(role="assistant", content="Good day.")])
        model.read_ahead([Message(role="user", content="word " * (model.context_size + 1))])
        assert isinstance(list(model.stream(chat, SamplingParams(max_tokens=5)))[-1], Completion)

    def test_more_text_counts_more_tokens(self, model: ChatModel) -> None:
        """Counting is monotone in the text."""
        short = model.count_tokens([Message(role="user", content="one")])
        longer = model.count_tokens([Message(role="user", content="one two three four")])
        assert 0 < short < longer
