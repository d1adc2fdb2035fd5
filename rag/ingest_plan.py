"""What an ingest would do: every source compared with what the collection holds.

Nothing is changed by a plan. What it finds is decided by hashes, so that the time of a file says
nothing, and a renamed file is known by its bytes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath

from index.source_notes import SourceNote
from rag.document_store import KnownSources
from rag.errors import FailureCode
from rag.ingest_recipe import Recipe
from rag.ingest_report import FileReport, Outcome
from rag.ingest_source import Folder, Look, Scan, Source
from rag.parsing import DEFAULT_LIMITS, ParseLimits

_BYTES_A_CHUNK = {".pdf": 6000, ".docx": 3000, ".html": 3000, ".htm": 3000, ".xhtml": 3000}
_BYTES_A_CHUNK_OF_TEXT = 800
_SAME_URI = "another source of this run has this uri; give the folder that holds both"


class Step(StrEnum):
    """What is to be done with a source.

    One is read again where its bytes are the same and the way to read or to cut them is another.
    """

    ADD = "added"
    CHANGE = "changed"
    REDO = "read again"
    RENAME = "renamed"
    KEEP = "unchanged"
    REFUSE = "not read"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSource:
    """A source and what is to be done; `was` is the uri of the document that a renamed one had.

    `note` is what is known from the last ingest.
    """

    source: Source
    step: Step
    look: Look
    was: str = ""
    note: SourceNote | None = None

    @property
    def uri(self) -> str:
        """Return the source's."""
        return self.source.uri

    @property
    def failed_before(self) -> bool:
        """Whether these bytes could not be read or stored the last time."""
        return (
            self.note is not None
            and self.note.outcome == Outcome.FAILED
            and self.note.source_sha256 == self.look.sha256 != ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestPlan:
    """All that is to be done, in order; `removed` are uris of documents whose file is gone.

    `forgotten` are uris of which there is a note alone. `doubts` are sentences: removals that look
    like a mistake. `num_chunks` estimates how many chunks are embedded at most.
    """

    steps: Sequence[PlannedSource]
    removed: Sequence[str] = ()
    forgotten: Sequence[str] = ()
    doubts: Sequence[str] = ()
    num_chunks: int = 0

    def count(self, step: Step) -> int:
        """Return how many sources have this step, but for those that `failed_before`."""
        return Counter(one.step for one in self.steps if not one.failed_before)[step]

    @property
    def failed_before(self) -> Sequence[str]:
        """The uris of what failed the last time with the same bytes, and is tried again."""
        return [one.uri for one in self.steps if one.failed_before]

    def changes(self) -> "IngestPlan":
        """Return the same without what is unchanged, and what failed and would fail again."""
        steps = [one for one in self.steps if one.step is not Step.KEEP and not one.failed_before]
        return replace(self, steps=steps)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.steps or self.removed or self.forgotten)

    def without_removals(self) -> "IngestPlan":
        """Return the same that removes nothing; a renamed file is then an added one."""
        steps = [
            replace(one, step=Step.ADD, was="") if one.step is Step.RENAME else one
            for one in self.steps
        ]
        return replace(self, steps=steps, removed=(), forgotten=(), doubts=())


class Comparison:
    """Compares sources, one by one, with the documents and notes of a collection.

    The second of two sources with one uri is refused: it must not replace the first unnoticed.
    """

    def __init__(
        self,
        known: Mapping[str, str],
        notes: Mapping[str, SourceNote],
        recipe: Recipe,
        limits: ParseLimits = DEFAULT_LIMITS,
    ) -> None:
        self._known = known
        self._notes = notes
        self._recipe = recipe
        self._limits = limits
        self._uris: set[str] = set()

    def of(self, sources: Iterable[Source]) -> Iterator[PlannedSource]:
        """Yield the steps of sources, which are taken as they are asked for."""
        for source in sources:
            note = self._notes.get(source.uri)
            if source.uri in self._uris:
                report = FileReport(
                    uri=source.uri,
                    outcome=Outcome.FAILED,
                    reason=_SAME_URI,
                    code=FailureCode.SAME_URI,
                )
                yield PlannedSource(source=source, step=Step.REFUSE, look=Look(refused=report))
                continue
            self._uris.add(source.uri)
            look = source.look(self._limits)
            yield PlannedSource(source=source, step=self._step(source, look), look=look, note=note)

    def _step(self, source: Source, look: Look) -> Step:
        if look.refused is not None:
            return Step.REFUSE
        sha256, note = self._known.get(source.uri), self._notes.get(source.uri)
        if sha256 is None:
            return Step.ADD
        if sha256 != look.sha256:
            return Step.CHANGE
        is_current = note is not None and self._recipe.is_that_of(note.recipe)
        return Step.KEEP if is_current else Step.REDO


def make_plan(
    scan: Scan,
    stored: KnownSources | None,
    recipe: Recipe,
    *,
    limits: ParseLimits = DEFAULT_LIMITS,
) -> IngestPlan:
    """Compare what a command names with a collection; None where there is none yet."""
    known = {} if stored is None else stored.sources()
    notes = {} if stored is None else stored.notes()
    steps = list(Comparison(known, notes, recipe, limits).of(scan.sources))
    missing = [
        uri
        for uri, note in notes.items()
        if any(folder.root == note.root and folder.lacks(uri) for folder in scan.folders)
    ]
    removed = [uri for uri in missing if uri in known and notes[uri].recipe]
    forgotten = [uri for uri in missing if uri not in known]
    steps, removed = _renamed(steps, removed, known)
    return IngestPlan(
        steps=steps,
        removed=removed,
        forgotten=forgotten,
        doubts=[d for d in (_doubt(f, known, notes, removed) for f in scan.folders) if d],
        num_chunks=_num_chunks(steps, notes, known),
    )


def _renamed(
    steps: Sequence[PlannedSource], removed: Sequence[str], known: Mapping[str, str]
) -> tuple[list[PlannedSource], list[str]]:
    """Make one step of a document that is gone and a new source of the same bytes."""
    left: dict[str, list[str]] = {}
    for uri in removed:
        left.setdefault(known[uri], []).append(uri)
    found: list[PlannedSource] = []
    for one in steps:
        uris = left.get(one.look.sha256) if one.step is Step.ADD else None
        found.append(replace(one, step=Step.RENAME, was=uris.pop(0)) if uris else one)
    rest = {uri for uris in left.values() for uri in uris}
    return found, [uri for uri in removed if uri in rest]


def _doubt(
    folder: Folder,
    known: Mapping[str, str],
    notes: Mapping[str, SourceNote],
    removed: Sequence[str],
) -> str:
    """Return why the removals of a folder look like a mistake, or an empty string."""
    own = [uri for uri, note in notes.items() if note.root == folder.root and uri in known]
    num_gone = len(set(own) & set(removed))
    if 2 * num_gone <= len(own):
        return ""
    what = "has no file" if not folder.uris else "lacks most of its files"
    return (
        f"{folder.root} {what}: {num_gone} of the {len(own)} documents that came from it would be"
        " removed"
    )


def _num_chunks(
    steps: Sequence[PlannedSource], notes: Mapping[str, SourceNote], known: Mapping[str, str]
) -> int:
    """Estimate the chunks of what is new or changed, by what sources of the same kind made.

    What failed before is expected to fail again, and a copy takes the vectors of the other.
    """
    num_bytes: Counter[str] = Counter()
    num_chunks: Counter[str] = Counter()
    for uri, note in notes.items():
        if note.num_chunks and note.num_bytes:
            num_bytes[_ending(uri)] += note.num_bytes
            num_chunks[_ending(uri)] += note.num_chunks
    total = 0.0
    there = set(known.values())
    for one in steps:
        if one.step not in {Step.ADD, Step.CHANGE} or one.failed_before:
            continue
        if one.look.sha256 in there:
            continue
        if one.look.sha256:
            there.add(one.look.sha256)
        ending = _ending(one.uri)
        a_chunk = _BYTES_A_CHUNK.get(ending, _BYTES_A_CHUNK_OF_TEXT)
        if num_chunks[ending]:
            a_chunk = num_bytes[ending] // num_chunks[ending] or 1
        total += max(1.0, one.look.num_bytes / a_chunk)
    return round(total)


def _ending(uri: str) -> str:
    return PurePosixPath(uri).suffix.lower()
