"""Grammars of byte automata: the same face as those of llguidance, over states of our own.

The mask of a state is found by walking automaton and vocabulary together, and kept. Knows no
schema and no passage.
"""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice

import numpy as np

from llm.decoding.automaton import Automaton, State
from llm.decoding.vocabulary import Mask, TokenTrie, Vocabulary, set_only
from llm.errors import ConstraintConflictError

_KEPT_MASKS = 256
_KEPT_COMPLETIONS = 8192
_MAX_FORCED_BYTES = 512
_BEAM = 256
_BYTE_BEAM = 4096
_MAX_BYTES = 65_536


class AutomatonGrammar:
    """The strings of an automaton as tokens of a vocabulary. May be shared between threads."""

    def __init__(self, automaton: Automaton, vocabulary: Vocabulary) -> None:
        self.automaton = automaton
        self.vocabulary = vocabulary
        self._masks: OrderedDict[State, Mask] = OrderedDict()
        self._forced: dict[State, list[int]] = {}
        self._shortest: dict[State, list[int] | None] = {}

    def start(self, *, forcing: bool = True) -> "AutomatonState":
        """See `Grammar`."""
        return AutomatonState(self, [self.automaton.start], forcing=forcing)

    def mask(self, state: State) -> Mask:
        """Return the tokens that may come next; not to be written into."""
        found = self._masks.get(state)
        if found is None:
            tokens = [token for token, _ in self.steps(state)]
            if self.automaton.accepts(state):
                tokens += self.vocabulary.eos_ids
            found = self.vocabulary.mask_of(tokens)
            self._masks[state] = found
            while len(self._masks) > _KEPT_MASKS:
                self._masks.popitem(last=False)
        return found

    def steps(self, state: State) -> Iterator[tuple[int, State]]:
        """Yield the ordinary tokens that may come next, with the states they lead to."""
        automaton = self.automaton
        waiting: list[tuple[TokenTrie, State]] = [(self.vocabulary.trie, state)]
        while waiting:
            node, at = waiting.pop()
            for byte in automaton.next_bytes(at):
                child = node.children.get(byte)
                if child is None:
                    continue
                following = automaton.step(at, byte)
                assert following is not None
                for token in child.tokens:
                    yield token, following
                if child.children:
                    waiting.append((child, following))

    def after(self, state: State, token: int) -> State | None:
        """Return the state after an ordinary token; None if it cannot come."""
        data = self.vocabulary.token_bytes[token]
        following: State | None = state if data else None
        for byte in data:
            if following is None:
                return None
            following = self.automaton.step(following, byte)
        return following

    def forced(self, state: State) -> list[int]:
        """Return the tokens that are certain to come next."""
        if state not in self._forced:
            if len(self._forced) >= _KEPT_COMPLETIONS:
                self._forced.clear()
            data, must_end = self._forced_bytes(state)
            tokens = self.vocabulary.certain_tokens(data, must_end=must_end) if data else []
            self._forced[state] = tokens
        return self._forced[state]

    def _forced_bytes(self, state: State) -> tuple[bytes, bool]:
        """Return the bytes that must come next, and whether the output then must end."""
        found = bytearray()
        at = state
        while len(found) < _MAX_FORCED_BYTES:
            following = self.automaton.next_bytes(at)
            if not following:
                return bytes(found), True
            if len(following) > 1 or self.automaton.accepts(at):
                break
            found.append(following[0])
            stepped = self.automaton.step(at, following[0])
            assert stepped is not None
            at = stepped
        return bytes(found), False

    def shortest(self, state: State) -> list[int] | None:
        """Return few tokens that lead to where the output may end; None where nothing does.

        They are the fewest unless more than 256 states compete. Then they are the fewest bytes (of
        at most 4,096 ways that compete), cut into the longest tokens.
        """
        if state not in self._shortest:
            if len(self._shortest) >= _KEPT_COMPLETIONS:
                self._shortest.clear()
            self._shortest[state] = self._search(state)
        return self._shortest[state]

    def _search(self, state: State) -> list[int] | None:
        layer: dict[State, tuple[int, ...]] = {state: ()}
        seen = {state}
        while layer:
            for at, tokens in layer.items():
                if self.automaton.accepts(at):
                    return list(tokens)
            if len(layer) > _BEAM:
                data = self._fewest_bytes(state)
                return None if data is None else self._cut(data)
            following: dict[State, tuple[int, ...]] = {}
            for at, tokens in layer.items():
                for token, stepped in self.steps(at):
                    if stepped not in seen:
                        seen.add(stepped)
                        following[stepped] = (*tokens, token)
            layer = following
        return None

    def _fewest_bytes(self, state: State) -> bytes | None:
        layer: dict[State, bytes] = {state: b""}
        seen = {state}
        for _ in range(_MAX_BYTES):
            following: dict[State, bytes] = {}
            for at, data in layer.items():
                if self.automaton.accepts(at):
                    return data
                for byte in self.automaton.next_bytes(at):
                    stepped = self.automaton.step(at, byte)
                    assert stepped is not None
                    if stepped not in seen:
                        following.setdefault(stepped, data + bytes([byte]))
            # What is left out is not seen: another way to it may come to be among those kept.
            layer = dict(islice(following.items(), _BYTE_BEAM))
            seen.update(layer)
        return None

    def _cut(self, data: bytes) -> list[int] | None:
        """Return the longest tokens that spell some bytes, one after the other."""
        tokens, at = list[int](), 0
        while at < len(data):
            node: TokenTrie | None = self.vocabulary.trie
            found, end = None, at
            for i in range(at, len(data)):
                assert node is not None
                node = node.children.get(data[i])
                if node is None:
                    break
                if node.tokens:
                    found, end = node.tokens[0], i + 1
            if found is None:
                return None
            tokens.append(found)
            at = end
        return tokens


class AutomatonState:
    """Where a branch stands in the grammar of an automaton."""

    __slots__ = ("_ended", "_forcing", "_grammar", "_path")

    def __init__(
        self, grammar: AutomatonGrammar, path: list[State], *, forcing: bool, ended: bool = False
    ) -> None:
        self._grammar = grammar
        self._path = path  # the states after each token so far
        self._forcing = forcing
        self._ended = ended

    @property
    def at(self) -> State:
        """The automaton's state."""
        return self._path[-1]

    @property
    def is_accepting(self) -> bool:
        """See `GrammarState`."""
        return self._grammar.automaton.accepts(self.at)

    @property
    def is_finished(self) -> bool:
        """See `GrammarState`."""
        return self._ended

    def fill(self, mask: Mask) -> None:
        """See `GrammarState`."""
        if self._ended:
            mask.fill(0)
        elif self._forcing and (forced := self.forced()):
            set_only(mask, forced[0])
        else:
            np.copyto(mask, self._grammar.mask(self.at))

    def advance(self, token: int) -> None:
        """See `GrammarState`."""
        if self._ended:
            raise ConstraintConflictError("nothing can follow the end of the output")
        if token in self._grammar.vocabulary.eos_ids:
            if not self.is_accepting:
                raise ConstraintConflictError("the output cannot end here")
            self._ended = True
            return
        forced = self.forced() if self._forcing else []
        following = self._grammar.after(self.at, token)
        if following is None or (forced and token != forced[0]):
            raise ConstraintConflictError(f"token {token} cannot come next")
        self._path.append(following)

    def rollback(self, num_tokens: int) -> None:
        """See `GrammarState`."""
        if num_tokens and self._ended:
            self._ended = False
            num_tokens -= 1
        assert 0 <= num_tokens < len(self._path)
        if num_tokens:
            del self._path[-num_tokens:]

    def fork(self) -> "AutomatonState":
        """See `GrammarState`."""
        return AutomatonState(
            self._grammar, self._path.copy(), forcing=self._forcing, ended=self._ended
        )

    def forced(self) -> list[int]:
        """See `GrammarState`."""
        return [] if self._ended else self._grammar.forced(self.at)

    def foreseen(self) -> list[int]:
        """See `GrammarState`."""
        return self.forced()

    def count_legal(self, tokens: list[int]) -> int:
        """See `GrammarState`."""
        ahead = self.fork()
        for number, token in enumerate(tokens):
            try:
                ahead.advance(token)
            except ConstraintConflictError:
                return number
        return len(tokens)
