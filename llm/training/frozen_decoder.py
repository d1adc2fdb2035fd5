"""The decoder as training sees it: text in, hidden states out, nothing learnt.

A state is what the head makes logits of, so it stands for all that was read so far. Letters: `n`
pairs, `t` positions, `c` hidden size, `v` vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from llm.chat_template import ChatTemplate
from llm.checkpoint import load_decoder
from llm.model_runner import ModelRunner, Span, batch_of
from llm.paged_cache import BLOCK
from llm.philox import gumbels
from llm.runner_choice import ComputeOptions, choose_runner
from llm.tokenizer import TextTokenizer

_CACHE_TOKENS = 16_384
_ROWS = 256  # of one step; each has as many logits as there are tokens
_SEQUENCES = 64
_CANDIDATES = 200

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Tokens to read and, before them, a context that is read too but is not part of the text."""

    context: tuple[int, ...]
    text: tuple[int, ...]

    def __post_init__(self) -> None:
        if not (self.context and self.text):
            raise ValueError("a passage needs a context and a text of a token or more each")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """States before a token, the token, and the states after it, row by row."""

    before: Float32[np.ndarray, "n c"]
    token_ids: Int64[np.ndarray, " n"]
    after: Float32[np.ndarray, "n c"]


class FrozenDecoder:
    """A decoder that reads and writes in batches; for one thread at a time."""

    def __init__(
        self,
        runner: ModelRunner,
        tokenizer: TextTokenizer,
        template: ChatTemplate,
        embedding: Float32[np.ndarray, "v c"],
    ) -> None:
        """Take a runner whose cache nobody else uses; `embedding` has a row for each token."""
        self.tokenizer = tokenizer
        self.template = template
        self.embedding = embedding
        self._runner = runner
        self._most_positions = runner.num_blocks // _SEQUENCES * BLOCK

    @classmethod
    def load(
        cls, weights: Path, *, threads: int | None = None, context_size: int = 2048
    ) -> "FrozenDecoder":
        """Load a decoder on the fastest kernels.

        Raises:
            CheckpointError: the weights cannot be used.
        """
        decoder = load_decoder(weights)
        options = ComputeOptions(threads=threads, cache_tokens=_CACHE_TOKENS)
        chosen = choose_runner(decoder.model, options, context_size=context_size)
        rows = decoder.model.head_weight.detach().float().numpy()
        return cls(chosen.runner, decoder.tokenizer, decoder.template, rows)

    def states(
        self, passages: Sequence[Passage], on_progress: OnProgress = lambda *_: None
    ) -> list[Float32[np.ndarray, "t c"]]:
        """Return for each passage the state before its text and those after each of its tokens."""
        found: list[Float32[np.ndarray, "t c"]] = []
        for group in _groups(passages):
            found += [hidden for hidden, _ in self._read(group, {})]
            on_progress(len(found), len(passages))
        return found

    def alternatives(
        self,
        passages: Sequence[Passage],
        rng: np.random.Generator,
        *,
        places: int,
        tokens: int,
        on_progress: OnProgress = lambda *_: None,
    ) -> Pairs:
        """Return what the state would be after tokens that do not stand in the text.

        At `places` random places of each passage, `tokens` are tried of the 200 that the decoder
        finds most probable there: half of them by its own probability, half evenly.
        """
        rows: list[tuple[Float32[np.ndarray, " c"], int, Float32[np.ndarray, " c"]]] = []
        done = 0
        for group in _groups(passages):
            rows += self._try(group, rng, places, tokens)
            done += len(group)
            on_progress(done, len(passages))
        before, token_ids, after = zip(*rows, strict=True)
        return Pairs(
            before=np.stack(before), token_ids=np.array(token_ids, np.int64), after=np.stack(after)
        )

    def write(
        self,
        contexts: Sequence[Sequence[int]],
        *,
        num_tokens: int,
        seed: int,
        temperature: float = 1.0,
    ) -> list[list[int]]:
        """Return `num_tokens` that the decoder draws after each context, never an end of text."""
        written: list[list[int]] = []
        for start in range(0, len(contexts), _SEQUENCES):
            group = contexts[start : start + _SEQUENCES]
            texts: list[list[int]] = [[] for _ in group]
            for step in range(num_tokens):
                spans = [
                    self._span(i, [*context, *text], len(context) + len(text) - 1 if step else 0)
                    for i, (context, text) in enumerate(zip(group, texts, strict=True))
                ]
                logits = self._last_logits(spans)
                for i, text in enumerate(texts):
                    text.append(self._drawn(logits[i], seed, start + i, step, temperature))
            written += texts
        return written

    def _drawn(
        self,
        logits: Float32[np.ndarray, " v"],
        seed: int,
        stream: int,
        position: int,
        temperature: float,
    ) -> int:
        logits[list(self.tokenizer.special_ids)] = -np.inf
        ids = np.sort(np.argpartition(logits, -_CANDIDATES)[-_CANDIDATES:])
        noise = gumbels(ids, seed=seed, position=position, stream=stream)
        return int(ids[np.argmax(logits[ids] / temperature + noise)])

    def _last_logits(self, spans: Sequence[Span]) -> Float32[np.ndarray, "n v"]:
        """Return the logits after each span, however many rows they have."""
        found = [self._runner.forward(batch_of(part)).logits.copy() for part in _chunks(spans)]
        return np.concatenate(found)

    def _read(
        self, group: Sequence[Passage], places: dict[int, Sequence[int]]
    ) -> list[tuple[Float32[np.ndarray, "t c"], dict[int, Float32[np.ndarray, " v"]]]]:
        """Return states, and the logits at the places asked for (text tokens read so far)."""
        spans = [self._span(i, [*one.context, *one.text], 0, "all") for i, one in enumerate(group)]
        found = []
        at = 0
        for part in _chunks(spans):
            output = self._runner.forward(batch_of(part))
            row = 0
            for span in part:
                one = group[at]
                first = row + len(one.context) - 1
                row += len(span.token_ids)
                logits = {j: output.logits[first + j].copy() for j in places.get(at, ())}
                found.append((output.hidden[first:row].copy(), logits))
                at += 1
        return found

    def _try(
        self, group: Sequence[Passage], rng: np.random.Generator, places: int, tokens: int
    ) -> list[tuple[Float32[np.ndarray, " c"], int, Float32[np.ndarray, " c"]]]:
        # The last place first: a token that is tried overwrites what the cache holds there.
        chosen: dict[int, Sequence[int]] = {
            i: sorted(rng.permutation(len(one.text) + 1)[:places].tolist(), reverse=True)
            for i, one in enumerate(group)
        }
        read = self._read(group, chosen)
        rows = []
        for round_ in range(places):
            live = [i for i in range(len(group)) if round_ < len(chosen[i])]
            tried = {i: self._candidates(read[i][1][chosen[i][round_]], rng, tokens) for i in live}
            for k in range(tokens):
                spans = []
                for i in live:
                    place = chosen[i][round_]
                    before = [*group[i].context, *group[i].text[:place]]
                    spans.append(self._span(i, [*before, int(tried[i][k])], len(before)))
                hidden = self._runner.forward(batch_of(spans)).hidden
                for row, i in enumerate(live):
                    state = read[i][0][chosen[i][round_]]
                    rows.append((state, int(tried[i][k]), hidden[row].copy()))
        return rows

    def _candidates(
        self, logits: Float32[np.ndarray, " v"], rng: np.random.Generator, tokens: int
    ) -> Int64[np.ndarray, " n"]:
        logits[list(self.tokenizer.special_ids)] = -np.inf
        ids = np.sort(np.argpartition(logits, -_CANDIDATES)[-_CANDIDATES:])
        noise = rng.gumbel(size=len(ids))
        likely = ids[np.argsort(-(logits[ids] + noise), kind="stable")][: tokens // 2]
        rest = rng.permutation(np.setdiff1d(ids, likely))[: tokens - len(likely)]
        return np.concatenate([likely, rest]).astype(np.int64)

    def _span(self, i: int, token_ids: list[int], start: int, wants: str = "last") -> Span:
        if len(token_ids) > self._most_positions:
            raise ValueError(
                f"a passage has {len(token_ids)} tokens and {self._most_positions} fit; cut it"
            )
        per_sequence = self._most_positions // BLOCK
        blocks = range(i * per_sequence, (i + 1) * per_sequence)
        return Span(
            token_ids=token_ids[start:],
            start=start,
            blocks=list(blocks),
            wants="all" if wants == "all" else "last",
        )


def _groups(passages: Sequence[Passage]) -> Iterator[Sequence[Passage]]:
    for start in range(0, len(passages), _SEQUENCES):
        yield passages[start : start + _SEQUENCES]


def _chunks(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Yield the spans in order, together as long as the rows of a step suffice."""
    part: list[Span] = []
    rows = 0
    for span in spans:
        if part and rows + len(span.token_ids) > _ROWS:
            yield part
            part, rows = [], 0
        part.append(span)
        rows += len(span.token_ids)
    if part:
        yield part
