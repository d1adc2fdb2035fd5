"""From what a request asks to the objects that do it, for one branch.

Compiling a grammar, finding its shortest output, loading a head and reading a prompt for drafts
take milliseconds to seconds, so this is done on the thread of whoever asks, before the engine hears
of the request. Knows no engine and no batch.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llm.decoding.budget import BudgetedState
from llm.decoding.compose import (
    Amateur,
    ContextAware,
    Contrastive,
    EarlyExit,
    ExpertGuidance,
    NGramAmateur,
)
from llm.decoding.drafters import (
    CombinedDrafter,
    GrammarDrafter,
    NGramDrafter,
    PredictedOutput,
    PromptLookup,
)
from llm.decoding.grammar import Grammar, GrammarState
from llm.decoding.grammar_compiler import GrammarCompiler
from llm.decoding.ngram_model import NGramModel
from llm.decoding.output_history import OutputHistories
from llm.decoding.phases import UNGUIDED, Composer, Drafter, Guidance
from llm.decoding.refused_pairs import check_pairs
from llm.decoding.search.answers import AnswerPattern
from llm.decoding.spec import MAX_CANDIDATES, DecodeSpec
from llm.decoding.steer import factor_of
from llm.decoding.vocabulary import Vocabulary
from llm.head_adapter import HeadAdapter
from llm.head_store import HeadStore
from llm.sampling_params import SamplingParams

_HISTORY_TOKENS = 4096  # some 2 MB a tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """What one branch starts with; not to be shared between branches.

    `accepts` tells whether a text may end there, None where any may. `needs_exit` asks for the
    hidden state of the early exit.
    """

    guidance: Guidance = UNGUIDED
    drafters: dict[str, Drafter] = field(default_factory=dict)
    accepts: Callable[[str], bool] | None = None
    needs_exit: bool = False

    def drafter(self) -> CombinedDrafter | None:
        """Return who guesses ahead; None for nobody."""
        return CombinedDrafter(self.drafters) if self.drafters else None


class ControlBuilder:
    """Makes controls for one model; several threads may ask."""

    def __init__(
        self,
        vocabulary: Callable[[], Vocabulary],
        encode: Callable[[str], Sequence[int]],
        heads: HeadStore,
        *,
        drafts: bool = True,
    ) -> None:
        """Take how to spell tokens, made when first needed, and the heads that fit the model.

        Without `drafts` the drafter "auto" is none: where a row's bits depend on its batch, a
        draft could change what is said.
        """
        self._make_vocabulary = vocabulary
        self._compiler: GrammarCompiler | None = None
        self._encode = encode
        self._heads = heads
        self._drafts = drafts
        self.histories = OutputHistories(max_tokens=_HISTORY_TOKENS)
        self._adapters: dict[str, HeadAdapter] = {}  # read once, like the scorers of the store
        self._ngrams: dict[str, NGramModel] = {}
        self._lock = threading.Lock()

    @property
    def heads(self) -> HeadStore:
        """The heads that may be named."""
        return self._heads

    @property
    def compiler(self) -> GrammarCompiler:
        """What compiles grammars for the model; the tokens are spelt out at the first call."""
        with self._lock:
            if self._compiler is None:
                self._compiler = GrammarCompiler(self._make_vocabulary())
            return self._compiler

    def warm_up(self) -> None:
        """Spell out the tokens, which takes half a second, before somebody waits for it."""
        assert self.compiler.vocabulary.size

    def build(
        self,
        spec: DecodeSpec,
        params: SamplingParams,
        prompt_ids: Sequence[int],
        *,
        max_tokens: int,
        tenant: str = "",
    ) -> Controls:
        """Return the controls of a request for at most `max_tokens` tokens.

        Drafts are made of what was said to the `tenant` alone.

        Raises:
            RefusedPairError: two of the wishes exclude each other.
            ConstraintError: a grammar that cannot be had, or not within `max_tokens`.
            UnknownScorerError: nothing has the name of a scorer, an adapter or an n-gram model.
            HeadError: what has the name is damaged, or is for another model.
        """
        check_pairs(spec, params)
        if spec.search.answer_regex:
            AnswerPattern(spec.search.answer_regex)  # says what is wrong with it
        grammar: BudgetedState | None = None
        accepts = None
        if spec.grammar is not None:
            compiled = self.compiler.compile(spec.grammar)
            grammar = BudgetedState(compiled, self.compiler.vocabulary, max_tokens)
            accepts = _Accepts(compiled, self._encode)
        steers = [wish for wish in spec.steer if wish.weight]
        return Controls(
            guidance=Guidance(
                grammar=grammar,
                composers=tuple(self._composers(spec, prompt_ids)),
                factors=tuple(
                    factor_of(wish, self._heads.scorer(wish.scorer), prompt_ids) for wish in steers
                ),
                candidates=min((wish.candidates for wish in steers), default=MAX_CANDIDATES),
            ),
            drafters=self._drafters(spec, prompt_ids, grammar, tenant),
            accepts=accepts,
            needs_exit=spec.contrast is not None and spec.contrast.amateur == "exit",
        )

    def _composers(self, spec: DecodeSpec, prompt_ids: Sequence[int]) -> list[Composer]:
        composers: list[Composer] = []
        rows = self._heads.unembedding
        if (contrast := spec.contrast) is not None:
            amateur: Amateur = EarlyExit(rows)
            if contrast.amateur != "exit":
                model = self._ngram(contrast.amateur.removeprefix("ngram:"))
                amateur = NGramAmateur(model, rows, prompt_ids)
            composers.append(Contrastive(amateur, weight=contrast.weight, head=contrast.head))
        if spec.context_faithfulness:
            composers.append(ContextAware(spec.context_faithfulness))
        if (experts := spec.experts) is not None:
            composers.append(
                ExpertGuidance(
                    expert=self._adapter(experts.expert),
                    anti_expert=self._adapter(experts.anti_expert),
                    weight=experts.weight,
                    top_p=experts.top_p,
                    unembedding=rows,
                )
            )
        return composers

    def _adapter(self, name: str) -> HeadAdapter:
        with self._lock:
            if name not in self._adapters:
                _, tensors = self._heads.head(name, "adapter")
                self._adapters[name] = HeadAdapter.of(tensors)
            return self._adapters[name]

    def _ngram(self, name: str) -> NGramModel:
        with self._lock:
            if name not in self._ngrams:
                _, tensors = self._heads.head(name, "ngram")
                self._ngrams[name] = NGramModel.of(tensors)
            return self._ngrams[name]

    def _drafters(
        self,
        spec: DecodeSpec,
        prompt_ids: Sequence[int],
        grammar: GrammarState | None,
        tenant: str,
    ) -> dict[str, Drafter]:
        wish = spec.speculation
        name = wish.drafter
        is_auto = name == "auto" and self._drafts
        found: dict[str, Drafter] = {}
        if spec.search.method == "beam" or name == "off":
            return found
        if grammar is not None and (is_auto or name == "grammar"):
            found["grammar"] = GrammarDrafter(grammar)
        if wish.prediction and (is_auto or name in ("auto", "prediction")):
            found["prediction"] = PredictedOutput(self._encode(wish.prediction))
        if is_auto or name == "prompt":
            found["prompt"] = PromptLookup(prompt_ids)
        # What the others said meanwhile changes drafts, and by rejection drafts change the text.
        if name == "history" or (is_auto and wish.verify == "exact"):
            found["history"] = self.histories.of(tenant).drafter(prompt_ids)
        if wish.ngram and name in ("auto", "ngram"):
            found["ngram"] = NGramDrafter(self._ngram(wish.ngram), prompt_ids)
        return found


class _Accepts:
    """Whether a whole text satisfies a grammar."""

    def __init__(self, grammar: Grammar, encode: Callable[[str], Sequence[int]]) -> None:
        self._grammar = grammar
        self._encode = encode

    def __call__(self, text: str) -> bool:
        state = self._grammar.start(forcing=False)
        tokens = list(self._encode(text))
        if state.count_legal(tokens) < len(tokens):
            return False
        for token in tokens:
            state.advance(token)
        return state.is_accepting
