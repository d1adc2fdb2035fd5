"""`python -m api ingest --watch`: a collection follows its folders, a line for each change."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from api.cli.ingest_view import chunks_in_words, outcome_words, report_json
from api.cli.sentences import SENTENCES
from api.ingest_desk import IngestDesk
from rag.folder_watch import FolderWatch
from rag.ingest_notes import news
from rag.ingest_report import FileReport, Outcome
from rag.ingest_source import DigestCache, scan

_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sayings:
    """Where the lines go: what happened to a file, and what else is worth saying."""

    reported: Callable[[FileReport], None]
    said: Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Following:
    """The work of one `--watch` after its first pass.

    Most documents of a folder are removed only where `is_confirmed`; nothing where `keep` is set.
    """

    desk: IngestDesk
    folders: Sequence[Path]
    collection: str
    digests: DigestCache
    sayings: Sayings
    is_confirmed: bool = False
    keep: bool = False
    _told: set[str] = field(default_factory=set)

    def run(self, stop: threading.Event) -> None:
        """Bring the collection up to date at every change, until told to stop."""
        for gone in FolderWatch(self.folders, stop=stop).changes():
            there = [folder for folder in self.folders if folder not in gone]
            doubts = {f"{folder} is gone: its documents stay; waiting for it" for folder in gone}
            while not stop.is_set():
                try:
                    doubts |= self._pass(there, stop)
                except SENTENCES as error:
                    self.sayings.said(f"error: {error}; tried again in {_AGAIN_S:.0f} s")
                    stop.wait(_AGAIN_S)
                else:
                    break
            for doubt in sorted(doubts - self._told):
                self.sayings.said(doubt)
            self._told = doubts

    def _pass(self, folders: Sequence[Path], stop: threading.Event) -> set[str]:
        """Do what is to be done; return what was not, and why."""
        plan = self.desk.plan(scan(folders, digests=self.digests), self.collection)
        withheld: set[str] = set()
        if plan.doubts and not (self.is_confirmed or self.keep):
            withheld = {f"nothing is removed: {doubt} (--yes does it)" for doubt in plan.doubts}
        if withheld or self.keep:
            plan = plan.without_removals()
        plan = news(plan)
        if not plan.is_empty:
            for report in self.desk.apply(plan, self.collection, is_confirmed=True, cancel=stop):
                self.sayings.reported(report)
        return withheld


def change_line(report: FileReport) -> str:
    """Return a change as one line."""
    name = f"{report.was} -> {report.uri}" if report.was else report.uri
    said = []
    if report.num_chunks:
        said = [f"{chunks_in_words(report.num_embedded)} embedded, {report.num_reused} reused"]
    said += [report.reason] if report.reason else []
    about = f" ({'; '.join(said)})" if said else ""
    return f"{datetime.now().astimezone():%H:%M:%S} {outcome_words(report)} {name}{about}"


def sayings(*, as_json: bool) -> Sayings:
    """Return what prints lines, or a JSON object a line."""

    def reported(report: FileReport) -> None:
        if report.outcome is not Outcome.UNCHANGED:
            line = json.dumps(report_json(report), ensure_ascii=False)
            print(line if as_json else change_line(report), flush=True)

    def said(words: str) -> None:
        line = json.dumps({"message": words}, ensure_ascii=False)
        shown = f"{datetime.now().astimezone():%H:%M:%S} {words}"
        print(line if as_json else shown, flush=True)

    return Sayings(reported=reported, said=said)
