"""What a pipeline keeps of one branch: its history, as far as the phases need it, and its noise.

All of it is a function of the tokens taken, so a branch can be made again by taking them again;
mirostat's ceiling alone also depends on the logits of each draw. Knows no batch.
"""

import math

from llm.decoding.account import Account
from llm.decoding.draw import purposed
from llm.decoding.feasible import Feasible
from llm.decoding.phases import (
    UNGUIDED,
    Guidance,
    KeyedNoise,
    Row,
    SteeredLogits,
    Survivors,
    Witness,
)
from llm.decoding.shape import Shape
from llm.decoding.truncate import GREEDY_BELOW, needs_twin
from llm.errors import ConstraintConflictError
from llm.philox import Purpose
from llm.sampling_params import Mirostat, SamplingParams

_LN2 = math.log(2.0)


class PipelineRow:
    """One branch of a request in a pipeline; made by `Pipeline.join` and `Pipeline.fork`."""

    __slots__ = (
        "_drawn",
        "account",
        "ceiling",
        "drafted",
        "feasible",
        "guidance",
        "is_marked",
        "is_plain",
        "is_reweighted",
        "keyed",
        "kl_nats",
        "logits",
        "needs_twin",
        "params",
        "position",
        "price",
        "row",
        "seed",
        "shape",
        "slot",
        "survivors",
        "witness",
    )

    def __init__(
        self,
        row: Row,
        params: SamplingParams,
        *,
        seed: int,
        position: int,
        feasible: Feasible | None,
        shape: Shape | None,
        guidance: Guidance = UNGUIDED,
    ) -> None:
        """Take the phases that the row uses, None for those it does not."""
        self.row = row
        self.params = params
        self.seed = seed
        self.position = position  # of the token that is drawn next, the prompt included
        self.feasible = feasible
        self.shape = shape
        self.guidance = guidance  # its grammar is the constraint of `feasible`
        mark: object = guidance.mark
        self.keyed: KeyedNoise | None = mark if isinstance(mark, KeyedNoise) else None
        # asked once: such a check takes as long as a seed
        self.witness: Witness | None = mark if isinstance(mark, Witness) else None
        self.is_marked = guidance.mark is not None
        self.is_reweighted = self.is_marked and self.keyed is None
        self.kl_nats = 0.0  # the price of composing and steering, of all tokens taken
        self.needs_twin = needs_twin(params)
        self.is_plain = not (
            self.needs_twin
            or params.logprobs
            or feasible is not None
            or shape is not None
            or guidance.composers
            or guidance.factors
            or self.is_reweighted
        )
        self.slot = -1  # in the batch of the sampler
        self.ceiling = math.inf if params.mirostat is None else 2 * params.mirostat.tau
        self.account: Account | None = None  # of the step under way
        self.logits: SteeredLogits | None = None
        self.survivors: Survivors | None = None
        self.price = 0.0  # of the step under way
        self.drafted: int | None = None  # a token to be accepted or rejected by a coin
        self._drawn: int | None = None

    @property
    def noise(self) -> tuple[int, int, int]:
        """The seed, position and stream of the coming draw's noise; see `draw`."""
        seed = None if self.keyed is None else self.keyed.noise_seed()
        if seed is None:
            return self.seed, self.position, self.row.branch
        return seed, purposed(0, Purpose.WATERMARK), 0

    def take(self, token: int) -> None:
        """Take the token that comes next: the one that was drawn, or any other.

        Raises:
            ConstraintConflictError: it is not the drawn one, and the grammar does not allow it.
        """
        if self.is_plain:
            if self.is_marked:
                self.guidance.take(token)
            self.position += 1
            return
        if self.feasible is not None:
            constraint = self.feasible.constraint
            if constraint is not None and token != self._drawn:
                if self._drawn is not None:
                    constraint.rollback(1)
                    self._drawn = None
                constraint.advance(token)
            self.feasible.take(token)
        if self.shape is not None:
            self.shape.take(token)
        self.guidance.take(token)
        if self.params.mirostat is not None:
            self._follow(self.params.mirostat, token)
        self.kl_nats += self.price
        self.position += 1
        self._drawn = None
        self._forget_step()

    def accept(self, token: int) -> bool:
        """Note the token drawn; False if the grammar refuses it after all and wants another."""
        constraint = None if self.feasible is None else self.feasible.constraint
        if constraint is not None:
            try:
                constraint.advance(token)
            except ConstraintConflictError:
                return False
        self._drawn = token
        return True

    def forget_draw(self) -> None:
        """Undo a draw that was not taken."""
        constraint = None if self.feasible is None else self.feasible.constraint
        if self._drawn is not None and constraint is not None:
            constraint.rollback(1)
        self._drawn = None
        self._forget_step()

    def fork(self, row: Row) -> "PipelineRow":
        """Return an independent copy under another name."""
        assert self._drawn is None, "a branch is forked before a draw or after it was taken"
        copy = PipelineRow(
            row,
            self.params,
            seed=self.seed,
            position=self.position,
            feasible=None if self.feasible is None else self.feasible.fork(),
            shape=None if self.shape is None else self.shape.fork(),
            guidance=self.guidance.fork(row.branch),
        )
        copy.kl_nats = self.kl_nats
        copy.ceiling = self.ceiling
        return copy

    def _forget_step(self) -> None:
        self.account = None
        self.logits = None
        self.survivors = None
        self.price = 0.0

    def _follow(self, mirostat: Mirostat, token: int) -> None:
        if self.survivors is None or self.params.temperature < GREEDY_BELOW:
            return
        found = self.survivors.log_probs[self.survivors.token_ids == token]
        if len(found):
            bits = -float(found[0]) / _LN2
            self.ceiling -= mirostat.eta * (bits - mirostat.tau)
