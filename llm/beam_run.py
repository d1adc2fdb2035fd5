"""A beam search in the engine: its live hypotheses as branches of the cache and of the pipeline.

`BeamSearch` says which continuations live on; here parents are forked, extended and dropped to
match. Knows neither the model nor who listens. Letters: `p` rows of the step, `v` vocabulary.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float32

from llm.branch import Branch
from llm.decoding.phases import Forwards
from llm.decoding.pipeline import Pipeline
from llm.decoding.search.beam import BeamSearch
from llm.decoding.search.branches import Candidates, Child, Finished, Reason
from llm.detokenizer import IncrementalDetokenizer
from llm.errors import ConstraintConflictError
from llm.scheduler import Scheduler
from llm.sequence import Gang
from llm.sequence import Sequence as TokenSequence

_NONE = Candidates(
    token_ids=np.zeros(0, np.int64), log_probs=np.zeros(0), is_final=np.zeros(0, np.bool_)
)


def forked(
    branch: Branch,
    scheduler: Scheduler,
    pipeline: Pipeline,
    numbers: Callable[[], int],
    *,
    gang: Gang | None,
    stream: int | None = None,
) -> Branch:
    """Return a second branch of the same text, in a gang if there is one.

    Its noise is that of `stream`; without one, that of its sequence's number.
    """
    sequence, *baseline = (
        scheduler.fork(each, number=numbers(), gang=gang) for each in branch.sequences
    )
    row = pipeline.fork(branch.row, stream=sequence.number % 2**32 if stream is None else stream)
    return Branch(sequence=sequence, row=row, baseline=baseline[0] if baseline else None)


class BeamRun:
    """The live hypotheses of one request, in the order in which the search has them."""

    def __init__(
        self,
        search: BeamSearch,
        first: Branch,
        gang: Gang,
        *,
        width: int,
        token_bytes: Sequence[bytes],
        may_stop: Callable[[str], bool] | None,
    ) -> None:
        """Begin with the prompt's branch; all branches come to be members of the gang."""
        self.live: list[Branch] = [first]
        self._search = search
        self._gang = gang
        self._params = first.row.params
        self._width = width
        self._token_bytes = token_bytes
        self._may_stop = may_stop

    @property
    def is_done(self) -> bool:
        """Whether no hypothesis is left that could win."""
        return self._search.done

    def candidates(
        self,
        pipeline: Pipeline,
        logits: Sequence[Float32[np.ndarray, " v"]],
        forwards: Sequence[Forwards],
    ) -> list[Candidates]:
        """Return what may follow each live hypothesis, whose rows are given in their order."""
        found = []
        for branch, row, beside in zip(self.live, logits, forwards, strict=True):
            try:
                ids, values = pipeline.followers(row, branch.row, beside, count=2 * self._width)
            except ConstraintConflictError:
                found.append(_NONE)
                continue
            final = np.zeros(len(ids), np.bool_)
            found.append(Candidates(token_ids=ids, log_probs=values, is_final=final))
        return found

    def advance(
        self,
        candidates: Sequence[Candidates],
        scheduler: Scheduler,
        pipeline: Pipeline,
        numbers: Callable[[], int],
    ) -> list[Branch]:
        """Take a step; returns the branches that are new."""
        children = self._search.expand(candidates).children
        parents = {child.parent for child in children}
        for i, branch in enumerate(self.live):
            if i not in parents:
                self._leave(branch, scheduler, pipeline)
        new: list[Branch] = []
        heirs: set[int] = set()
        live: list[Branch] = []
        for child in children:
            parent = self.live[child.parent]
            if child.parent in heirs:
                parent = forked(parent, scheduler, pipeline, numbers, gang=self._gang)
                new.append(parent)
            heirs.add(child.parent)
            live.append(parent)
        for branch, child in zip(live, children, strict=True):
            self._take(branch, child, scheduler)
        ended = [i for i, branch in enumerate(live) if self._stops(branch.sequence)]
        kept = set(self._search.end(ended)) if ended else set(range(len(live)))
        for i, branch in enumerate(live):
            if i not in kept:
                self._leave(branch, scheduler, pipeline)
        self.live = [branch for i, branch in enumerate(live) if i in kept]
        return new

    def cut(self, reason: Reason) -> None:
        """End the search: what still lives ends as it is, for this reason."""
        if not self._search.done:
            self._search.end(range(len(self.live)), reason)

    def best(self) -> list[Finished]:
        """Return the finished hypotheses, best first."""
        return self._search.best()

    def text_of(self, finished: Finished) -> str:
        """Return the text of a hypothesis, without a stop and what follows it."""
        return self._text(finished.token_ids)[0]

    def _stops(self, sequence: TokenSequence) -> bool:
        return self._text(sequence.token_ids[sequence.num_prompt_tokens :])[1]

    def _text(self, token_ids: Sequence[int]) -> tuple[str, bool]:
        params = self._params
        reader = IncrementalDetokenizer(params.stop, params.stop_regex, may_stop=self._may_stop)
        said = "".join(reader.push(self._token_bytes[token]) for token in token_ids)
        return said + reader.finish(), reader.stopped

    def _take(self, branch: Branch, child: Child, scheduler: Scheduler) -> None:
        branch.row.take(child.token)
        for sequence in branch.sequences:
            scheduler.append(sequence, child.token)

    def _leave(self, branch: Branch, scheduler: Scheduler, pipeline: Pipeline) -> None:
        for sequence in branch.sequences:
            scheduler.finish(sequence)
        pipeline.leave(branch.row)
