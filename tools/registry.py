"""The tools of one conversation: an explicit list, fixed before any text of strangers is read."""

import hashlib
from collections.abc import Iterable, Iterator

from llm.chat import ToolSpec
from tools.base import Tool
from tools.errors import DuplicateToolError, ToolDeclarationError, UnknownToolError


class ToolRegistry:
    """Tools by name, in the order given; cannot be changed.

    Raises:
        DuplicateToolError: two have the same name.
        ToolDeclarationError: one has an argument without a type.
    """

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise DuplicateToolError(f"two tools are called {tool.name!r}; rename one")
            if tool.untyped:
                raise ToolDeclarationError(
                    f"{tool.name}: nobody said what {sorted(tool.untyped)} take; annotate them, or"
                    " give their types with Tool.typed"
                )
            self._tools[tool.name] = tool

    def __len__(self) -> int:
        return len(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What a model is told of the tools."""
        return tuple(tool.spec for tool in self)

    @property
    def fingerprint(self) -> str:
        """A hash of all that a model is told and all effects: another one is another list."""
        digest = hashlib.sha256()
        for tool in self:
            spec = tool.spec
            told = (spec.name, spec.description, spec.parameters)
            for part in (*told, tool.effect, tool.asks, *tool.needs, tool.undo):
                digest.update(f"{len(part)}:{part}".encode())
        return digest.hexdigest()

    def tool(self, name: str) -> Tool:
        """Return the tool of this name.

        Raises:
            UnknownToolError: there is none; the message holds the nearest name.
        """
        if name not in self._tools:
            raise UnknownToolError(name, self._tools)
        return self._tools[name]

    def only(self, names: Iterable[str]) -> "ToolRegistry":
        """Return the registry of these tools alone.

        Raises:
            UnknownToolError: a name that no tool has.
        """
        return ToolRegistry(self.tool(name) for name in names)
