"""Looks for a short way to finish in a grammar of llguidance, whose states cannot be compared.

It goes on copies of a state, symbol by symbol, and takes what ends things soonest; what it finds
has been tried. Knows no budget.
"""

from collections import Counter

from llguidance import LLMatcher

from llm.decoding.grammar import MatcherGrammar
from llm.decoding.vocabulary import END, NUM_BYTES
from llm.errors import GrammarTooLargeError

MAX_SYMBOLS = 20_000  # of the shortest output of a grammar
_BEAM = 24
_ALIKE = 3
BROAD_START = 512
BROAD_DETOUR = 12
_ROLLOUT_WIDTH = 8
_MAX_ROLLOUTS = 400
_TEXT = 64  # symbols; where more may come, and no end of a string, one may write what one likes
_MAX_FEWER = 10  # tokens of an output that is looked for token by token
_MAX_TRIES = 60_000
_MAX_WORK = 60_000  # symbols tried in one search: some tenths of a second
_DEAR_SYMBOLS = 32  # in deep recursion a symbol costs as much as all before it

# what ends things first, then the shortest values, then what opens things
_QUOTE = ord('"')
_CLOSING = b'"}])>,0123456789ntf-[{('


class Search:
    """Looks for short completions of a state of llguidance, symbol by symbol."""

    def __init__(self, grammar: MatcherGrammar) -> None:
        vocabulary = self._vocabulary = grammar.vocabulary
        self._hints = grammar.hints
        self._leads = grammar.leads
        self._work = _MAX_WORK
        letters = bytes(vocabulary.long_runs) + bytes(range(0x20, 0x7F)) + bytes(range(NUM_BYTES))
        order = [*_CLOSING, *letters, *range(NUM_BYTES + 1, vocabulary.num_symbols)]
        self._order = list(dict.fromkeys(order))
        self._fillers = list(dict.fromkeys([*letters, *order]))

    def quick(self, matcher: LLMatcher, most: int, *, broadly: int) -> list[int] | None:
        """Return a completion of at most `most` symbols; `matcher` is used up.

        If it has more than `broadly`, it may not be found.
        """
        spare = matcher.deep_copy()
        found = self._straight(matcher, most)
        return self._broad(spare, min(most, broadly)) if found is None else found

    def best(self, matcher: LLMatcher, known: list[int]) -> list[int]:
        """Return a completion with as few tokens as can be found by trying each way on.

        `known` is one that will do; the matcher stays as it is.
        """
        ahead = matcher.deep_copy()
        done: list[int] = []
        rollouts = _MAX_ROLLOUTS
        while rollouts > 0 and self._work > 0:
            forced, options = self._ways(ahead)
            ahead.try_consume_tokens(forced)
            done += forced
            if options is None:
                break
            best = known
            for option in self._different(options):
                trial = ahead.deep_copy()
                trial.try_consume_tokens([option])
                rest = self.quick(trial, len(known), broadly=BROAD_DETOUR)
                rollouts -= 1
                if rest is not None and self._is_shorter([*done, option, *rest], best):
                    best = [*done, option, *rest]
            known = best
            ahead.try_consume_tokens([known[len(done)]])
            done.append(known[len(done)])
        return self._fewer(matcher, known)

    def _fewer(self, matcher: LLMatcher, known: list[int]) -> list[int]:
        """Return a completion of fewer tokens, found token by token, or the known one."""
        most = self._vocabulary.count_tokens(tuple(known))
        layer: list[tuple[LLMatcher, list[int]]] = [(matcher, [])]
        tries = _MAX_TRIES
        for _ in range(min(most - 1, _MAX_FEWER)):
            following: dict[tuple[int, int], tuple[LLMatcher, list[int]]] = {}
            for at, taken in layer:
                for data in self._spellings(_options(at)):
                    tries -= 1
                    if tries < 0:
                        return known
                    if at.validate_tokens(data) < len(data):
                        continue
                    ahead = at.deep_copy()
                    ahead.try_consume_tokens(data)
                    way = [*taken, *data]
                    if ahead.is_accepting():
                        return way
                    following.setdefault((len(way), _options(ahead)), (ahead, way))
            layer = sorted(following.values(), key=lambda way: -len(way[1]))
        return known

    def _spellings(self, options: int) -> list[list[int]]:
        """Return the tokens that begin with one of these symbols, the longest first."""
        data = self._vocabulary.longest_first
        return [list(token) for token in data if options >> token[0] & 1]

    def _is_shorter(self, way: list[int], best: list[int]) -> bool:
        count = self._vocabulary.count_tokens
        return (count(tuple(way)), len(way)) < (count(tuple(best)), len(best))

    def _straight(self, matcher: LLMatcher, most: int) -> list[int] | None:
        """Take what ends things soonest at every turn."""
        found: list[int] = []
        left = self._work
        while len(found) <= most and left > 0:
            left -= 1 + len(found) // _DEAR_SYMBOLS
            forced, options = self._ways(matcher)
            found += forced
            if options is None:
                return found
            matcher.try_consume_tokens(forced)
            chosen = self._choice(options)
            if chosen is None:
                return None
            step = self._lead(matcher, options) or [chosen]
            if step == [chosen] != [_QUOTE]:
                step = self._hinted(matcher) or step
            matcher.try_consume_tokens(step)
            found += step
        return None

    def _choice(self, options: int) -> int | None:
        is_text = options.bit_count() > _TEXT and not options >> _QUOTE & 1
        order = self._fillers if is_text else self._order
        return next((symbol for symbol in order if options >> symbol & 1), None)

    def _hinted(self, matcher: LLMatcher) -> list[int] | None:
        """Return a hint after which a string or the output can end."""
        for hint in self._hints:
            if matcher.validate_tokens(hint) != len(hint):
                continue
            ahead = matcher.deep_copy()
            ahead.try_consume_tokens(hint)
            if ahead.is_accepting() or _options(ahead) >> _QUOTE & 1:
                return hint
        return None

    def _lead(self, matcher: LLMatcher, options: int) -> list[int] | None:
        """Return a lead that is not just text: after it, less may follow than before."""
        for lead in self._leads:
            if matcher.validate_tokens(lead) == len(lead):
                ahead = matcher.deep_copy()
                ahead.try_consume_tokens(lead)
                if 2 * _options(ahead).bit_count() < options.bit_count():
                    return lead
        return None

    def _broad(self, matcher: LLMatcher, most: int) -> list[int] | None:
        """Go all ways at once; of those as long that look alike a few are followed."""
        layer: list[tuple[LLMatcher, list[int]]] = [(matcher, [])]
        for _ in range(most + 1):
            if self._work < 0:
                return None
            looks: Counter[tuple[int, bool]] = Counter()
            following: list[tuple[LLMatcher, list[int]]] = []
            for at, taken in layer:
                if at.is_accepting():
                    return taken
                for symbol in self._different(_options(at), width=3 * _ROLLOUT_WIDTH):
                    self._work -= 1
                    ahead = at.deep_copy()
                    if ahead.try_consume_tokens([symbol]) != 1:
                        continue
                    look = (_options(ahead), ahead.is_accepting())
                    looks[look] += 1
                    if looks[look] <= _ALIKE:
                        following.append((ahead, [*taken, symbol]))
            # where there is least to choose one has come farthest
            following.sort(key=lambda way: _options(way[0]).bit_count())
            layer = following[:_BEAM]
            if not layer:
                return None
        return None

    def _ways(self, matcher: LLMatcher) -> tuple[list[int], int | None]:
        """Return what must come, and the symbols that may follow; None if the end may."""
        if matcher.is_accepting():
            return [], None
        self._work -= 1
        forced: list[int] = matcher.compute_ff_tokens()
        if not forced:
            return [], _options(matcher)
        ahead = matcher.deep_copy()
        ahead.try_consume_tokens(forced)
        return forced, None if ahead.is_accepting() else _options(ahead)

    def _different(self, options: int, width: int = _ROLLOUT_WIDTH) -> list[int]:
        """Return a few symbols of `options`: those that end things, and some of the others."""
        found = [symbol for symbol in self._order if options >> symbol & 1]
        return found[:width]


def _options(matcher: LLMatcher) -> int:
    if matcher.is_error():
        raise GrammarTooLargeError(what="what the grammar allows at this point")
    return int.from_bytes(matcher.compute_bitmask(), "little") & ~(1 << END)
