"""The query plans of collections, as files beside the tenant's data: `plans/COLLECTION.json`.

A plan belongs to the collection that it was chosen on: one that was made anew under the same name,
or embedded by another model, has the usual plan until it is tuned again.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.collection_files import CollectionFiles
from index.protocol import CollectionInfo
from rag.query_plan import DEFAULT_PLAN, QueryPlan

PLANS = "plans"  # the folder, within the state

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPlan:
    """A plan, and the report of the tuning that chose it; empty where nobody tuned."""

    plan: QueryPlan = DEFAULT_PLAN
    report: Mapping[str, Any] = field(default_factory=dict)


class PlanFiles:
    """Keeps one plan a collection; `info` describes a collection by its name."""

    def __init__(self, folder: Path, info: Callable[[str], CollectionInfo]) -> None:
        self._files = CollectionFiles(folder, info)

    def plan_of(self, name: str) -> QueryPlan:
        """Return a collection's plan, the usual one where it has none.

        Raises:
            UnknownCollectionError: no collection has this name.
        """
        return self.kept(name).plan

    def kept(self, name: str) -> KeptPlan:
        """Return a collection's plan with its report; raises `UnknownCollectionError`."""
        try:
            kept = self._files.read(name)
            if kept is None:
                return KeptPlan()
            return KeptPlan(plan=QueryPlan.from_changes(kept["plan"]), report=kept["report"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("the plan of %r cannot be read: %s; the usual one is used", name, error)
            return KeptPlan()

    def save(self, name: str, kept: KeptPlan) -> None:
        """Keep a plan that was chosen on a collection; raises `UnknownCollectionError`."""
        self._files.write(name, {"plan": kept.plan.changes(), "report": dict(kept.report)})
