"""What a user stands for: who calls, what the model has read, and the calls agreed to."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.call_context import Caller
from tools.provenance import Provenance


def canonical(arguments: Mapping[str, Any]) -> str:
    """Return arguments as JSON text that is the same for the same values."""
    return json.dumps(arguments, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def call_digest(tool: str, arguments: Mapping[str, Any], caller: Caller) -> str:
    """Return the hash of exactly this call by exactly this caller."""
    said = json.dumps([caller.user, caller.conversation, tool, canonical(arguments)])
    return hashlib.sha256(said.encode()).hexdigest()


class Confirmations:
    """The calls that the user agreed to, by digest; each agreement is good for one call."""

    def __init__(self) -> None:
        self._agreed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def agree(self, digest: str) -> None:
        """Note that the user agrees to one call."""
        with self._lock:
            self._agreed[digest] += 1

    def take(self, digest: str) -> bool:
        """Use an agreement up; tell whether there was one."""
        with self._lock:
            if self._agreed[digest] < 1:
                del self._agreed[digest]
                return False
            self._agreed[digest] -= 1
            return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """In whose name calls are made, and what is known of where their arguments came from.

    The default has read nothing, so that no argument is the user's.
    """

    caller: Caller = field(default_factory=Caller)
    provenance: Provenance = field(default_factory=lambda: Provenance(()))
    confirmations: Confirmations = field(default_factory=Confirmations)
