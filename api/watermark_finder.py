"""Looks for the mark in texts: all keys are tried, and all that was tried is corrected for.

Knows texts and the model's tokenizer; what a p-value is made of knows `llm/watermark/`.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from api.reply_tokens import pieces_of, tokens_of
from api.settings import SchemeName, StatisticName
from api.watermark_schemes import detector_scheme
from llm.decoding.grammar_compiler import GrammarCompiler
from llm.decoding.grammar_spec import GrammarSpec, JsonSchema
from llm.decoding.vocabulary import Vocabulary
from llm.errors import UndecidableTextError
from llm.tokenizer import TextTokenizer
from llm.watermark.detector import Detection, Detector, Text
from llm.watermark.keys import KeyRing, WatermarkKey
from llm.watermark.p_values import best_of
from llm.watermark.scheme import Scheme

ALPHA = 0.01  # a mark is called found from this p-value on
MAX_WORK = 2_000_000  # tokens times keys
MAX_WEIGHTED = 4_096  # tokens of a text that the model reads while its answers wait

Entropies = Callable[[Sequence[int]], Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Replies in which a mark is looked for, in the order in which they were given.

    Without a `scheme` it is that of the settings, without a `key` all are tried. `form` is the
    one that a single reply was held to. `is_search` looks for a marked passage in a single
    longer text. If `is_weighted`, tokens count by how much choice the model had there. `statistic`
    is how the bits of the scheme synthid are added up; None is the usual one.
    """

    replies: tuple[str, ...]
    scheme: SchemeName | None = None
    key: str | None = None
    form: GrammarSpec | None = None
    is_search: bool = False
    is_weighted: bool = False
    statistic: StatisticName | None = None

    def __post_init__(self) -> None:
        if len(self.replies) != 1 and (self.form is not None or self.is_search):
            raise ValueError(
                "a schema, a grammar or a search is of one text, not of a conversation"
            )
        if self.form is not None and self.is_search:
            raise ValueError("a reply under a grammar is read whole, so leave the search out")
        if self.statistic is not None and self.scheme != "synthid":
            raise ValueError(
                "a statistic is of the bits of synthid; ask for the scheme synthid, or leave the"
                " statistic out"
            )
        if self.is_search and self.is_weighted:
            raise ValueError("parts of a text are searched without weights; leave one of both out")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFinding:
    """One reply under the key that fits best; `evidence` per token is in standard deviations.

    Where `is_counted`, a text without the mark has 0 evidence on average. `start` and `stop` bound
    the tokens that `z_score` and `num_scored` are of.
    """

    pieces: tuple[str, ...]
    evidence: tuple[float, ...]
    is_counted: tuple[bool, ...]
    log_p_value: float
    z_score: float
    num_scored: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found under the key that fits best; `log_p_value` is natural.

    It is corrected for all `num_tests` things that were tried.
    """

    scheme: SchemeName
    key: str
    key_id: str
    log_p_value: float
    num_tests: int
    num_scored: int
    is_search: bool
    replies: tuple[ReplyFinding, ...]

    @property
    def p_value(self) -> float:
        """The p-value; 0 where it is below what a float holds."""
        return math.exp(self.log_p_value)

    @property
    def is_detected(self) -> bool:
        """Whether the mark is called found."""
        return self.log_p_value <= math.log(ALPHA)

    @property
    def z_score(self) -> float | None:
        """Of a single text; replies to be pooled have one each."""
        return self.replies[0].z_score if len(self.replies) == 1 else None


class MarkFinder:
    """Looks for the marks of one model under the keys of a ring. For several threads."""

    def __init__(
        self,
        ring: KeyRing,
        tokenizer: TextTokenizer,
        *,
        size: int,
        served: SchemeName,
        entropies: Entropies | None = None,
    ) -> None:
        """Take what marked the texts.

        Args:
            ring: all keys ever served.
            tokenizer: that of the chat model.
            size: how many logits the chat model gives.
            served: the scheme of the settings.
            entropies: the model's, of each token of a text; None where it is not at hand.
        """
        self._ring = ring
        self._tokenizer = tokenizer
        self._size = size
        self._served = served
        self._entropies = entropies
        self._lock = threading.Lock()

    def find(self, question: Question) -> Finding:
        """Return what the texts say.

        Raises:
            UndecidableTextError: that cannot be told, and why.
            UnknownWatermarkKeyError: there is no key of this name.
            ConstraintError: the grammar cannot be compiled.
            EngineBusyError: the model has no room to weigh the tokens now.
        """
        name = question.scheme or self._served
        scheme = detector_scheme(name, self._size, question.statistic)
        keys = self._ring.keys if question.key is None else (self._ring.named(question.key),)
        replies = [tokens_of(text, self._tokenizer) for text in self._texts(question)]
        _check_work(sum(map(len, replies)), len(keys))
        texts = [self._text(tokens, question) for tokens in replies]
        # One key at a time, so that memory does not grow with the keys.
        return _best([self._found(question, texts, name, scheme, key) for key in keys])

    def _text(self, tokens: tuple[int, ...], question: Question) -> Text:
        if not question.is_weighted:
            return Text(token_ids=tokens)
        if self._entropies is None:
            raise UndecidableTextError(
                "cannot tell with weights, because the chat model is not at hand; look without them"
            )
        if len(tokens) > MAX_WEIGHTED:
            raise UndecidableTextError(
                f"cannot tell with weights, because a text of {len(tokens):,} tokens is too long"
                f" for the model to read beside its answers (at most {MAX_WEIGHTED:,}); give a part"
                " of it, or look without weights"
            )
        return Text(token_ids=tokens, weights=tuple(max(h, 0.0) for h in self._entropies(tokens)))

    def _texts(self, question: Question) -> list[str]:
        if isinstance(question.form, JsonSchema):  # white space around JSON is not part of it
            return [text.strip() for text in question.replies]
        texts = [text for text in question.replies if text.strip()]
        if not texts:
            raise UndecidableTextError(
                "cannot tell, because there is no text that the model could have written"
            )
        return texts

    def _found(
        self,
        question: Question,
        texts: Sequence[Text],
        name: SchemeName,
        scheme: Scheme,
        key: WatermarkKey,
    ) -> Finding:
        detector = Detector(scheme, (key,))
        if len(texts) > 1:
            pooled = detector.detect_conversation(texts)
            each, log_p, num_tests = pooled.replies, pooled.log_p_value, pooled.num_tests
        else:
            one = self._of_one(detector, texts[0], question)
            each, log_p, num_tests = (one,), one.log_p_value, one.num_tests
        return Finding(
            scheme=name,
            key=key.name,
            key_id=key.id,
            log_p_value=log_p,
            num_tests=num_tests,
            num_scored=sum(one.num_scored for one in each),
            is_search=question.is_search,
            replies=tuple(
                self._of_reply(text.token_ids, one, scheme)
                for text, one in zip(texts, each, strict=True)
            ),
        )

    def _of_one(self, detector: Detector, text: Text, question: Question) -> Detection:
        if question.form is not None:
            with self._lock:
                grammar = self._grammars.compile(question.form)
            return detector.replay(text, grammar.start, self._size)
        return detector.search(text) if question.is_search else detector.detect(text)

    def _of_reply(
        self, tokens: Sequence[int], detection: Detection, scheme: Scheme
    ) -> ReplyFinding:
        deviation = math.sqrt(scheme.law.variance)
        return ReplyFinding(
            pieces=tuple(pieces_of(tokens, self._tokenizer)),
            evidence=tuple((value - detection.mean) / deviation for value in detection.values),
            is_counted=detection.is_scored,
            log_p_value=detection.log_p_value,
            z_score=detection.z_score,
            num_scored=detection.num_scored,
            start=detection.start,
            stop=detection.stop,
        )

    @cached_property
    def _grammars(self) -> GrammarCompiler:
        return GrammarCompiler(Vocabulary(self._tokenizer, size=self._size))


def _check_work(num_tokens: int, num_keys: int) -> None:
    if num_tokens * num_keys > MAX_WORK:
        raise UndecidableTextError(
            f"cannot tell, because {num_tokens:,} tokens under {num_keys} keys are too many to try;"
            " name the key, or give a part of the text"
        )


def _best(found: Sequence[Finding]) -> Finding:
    """Return the one that fits best, corrected for the others."""
    best = min(found, key=lambda one: one.log_p_value)
    return replace(
        best,
        log_p_value=best_of(best.log_p_value, len(found)),
        num_tests=sum(one.num_tests for one in found),
    )
