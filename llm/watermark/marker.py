"""Who marks what: the current key, the schemes that may be asked for, and the mark of one reply.

A mark also keeps count of how well it will be found. Knows no requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from llm.decoding.phases import Survivors
from llm.watermark.gumbel import GumbelMark
from llm.watermark.keys import KeyRing
from llm.watermark.power import Power, PowerMeter
from llm.watermark.scheme import Scheme, TextMark

_STRIDE = 4  # of the tokens behind the first ones, so many times fewer are measured


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkName:
    """By which scheme and key a reply is marked; tells nothing of the secret."""

    scheme: str
    key_id: str


class ReplyMark:
    """The mark of one branch by weights, with its predicted power; see `phases.Mark`."""

    __slots__ = ("_mark", "_meter", "name")

    def __init__(self, name: MarkName, mark: TextMark, meter: PowerMeter) -> None:
        self.name = name
        self._mark = mark
        self._meter = meter

    @property
    def power(self) -> Power:
        """The chance to detect what was said so far at 1 % false positives."""
        return self._meter.power()

    @property
    def wants_survivors(self) -> bool:
        """See `phases.Witness`."""
        return self._meter.wants

    def witness(self, survivors: Survivors | None, token: int) -> None:
        """See `phases.Witness`."""
        if not self._mark.counts(token):
            return
        self._meter.add(None if survivors is None else self._mark.expect(survivors, token))

    def reweight(self, survivors: Survivors) -> Survivors:
        """See `phases.Mark`."""
        return self._mark.reweight(survivors)

    def noise(self, token_ids: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"] | None:
        """See `phases.Mark`."""
        return self._mark.noise(token_ids)

    def take(self, token: int) -> None:
        """See `phases.Mark`."""
        self._mark.take(token)

    def fork(self, stream: int) -> "ReplyMark":
        """See `phases.Mark`; the copy's count goes on from here."""
        mark = self._mark.fork(stream)
        assert isinstance(mark, TextMark)
        return type(self)(self.name, mark, self._meter.fork())


class KeyedReplyMark(ReplyMark):
    """The mark of one branch in its noise; see `phases.KeyedNoise`."""

    __slots__ = ()

    def noise_seed(self) -> int | None:
        """See `phases.KeyedNoise`."""
        assert isinstance(self._mark, GumbelMark)
        return self._mark.noise_seed()


class Marker:
    """Starts the marks of replies; several threads may ask."""

    def __init__(
        self, ring: KeyRing, schemes: Mapping[str, Scheme], *, sampled: str, greedy: str | None
    ) -> None:
        """Take the schemes by their names and those of "auto", for drawn and for greedy texts.

        None leaves texts as they are.
        """
        for name in (sampled, greedy):
            if name is not None and name not in schemes:
                raise ValueError(f"there is no scheme {name!r}; there are {', '.join(schemes)}")
        self.ring = ring
        self.schemes = dict(schemes)
        self._sampled = sampled
        self._greedy = greedy

    def start(self, wish: str, *, is_greedy: bool, seed: int) -> ReplyMark | None:
        """Return the mark of a reply, None for none; `wish` is "auto", "off" or a scheme.

        Raises:
            ValueError: there is no such scheme.
        """
        name: str | None = wish
        if wish == "auto":
            name = self._greedy if is_greedy else self._sampled
        if name is None or wish == "off":
            return None
        if name not in self.schemes:
            raise ValueError(f"there is no scheme {name!r}; there are {', '.join(self.schemes)}")
        scheme, key = self.schemes[name], self.ring.current
        mark = scheme.start(key.secret, seed=seed)
        meter = PowerMeter(scheme, num_keys=len(self.ring.keys), stride=_STRIDE)
        kind = KeyedReplyMark if isinstance(mark, GumbelMark) else ReplyMark
        return kind(MarkName(scheme=name, key_id=key.id), mark, meter)
