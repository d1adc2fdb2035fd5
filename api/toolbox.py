"""The service's own tools, from its settings: the built-in ones, and those of the owner's files.

A part of the composition: `api.bootstrap` and the command line build the tools here, the latter
without a model.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from api.errors import ConfigurationError
from api.settings import Settings
from llm.tool_forms.call_form import CallForm
from llm.tool_forms.own import OWN
from rag.document import Passage
from tools.argument_types import Size
from tools.base import Effect, Tool
from tools.builtin.calculator import calculator
from tools.builtin.clock import clock
from tools.builtin.program_tool import NAME as PROGRAM
from tools.builtin.program_tool import program_tool
from tools.builtin.table_lookup import table_lookup
from tools.builtin.units import unit_converter
from tools.builtin.web_request import WebLimits, web_request
from tools.errors import ToolDeclarationError
from tools.registry import ToolRegistry
from tools.strategies.base import Strategy
from tools.strategies.native import NativeCalling
from tools.strategies.plan_reflect import PlanReflect
from tools.strategies.program_aided import ProgramAided
from tools.strategies.react import ReAct
from tools.strategies.self_ask import SelfAsk
from tools.tool_file import tools_of_file

MAX_PASSAGES = 5
SEARCH = "search"

Find = Callable[[str, str], Sequence[Passage]]


def search_tool(find: Find, *, default_collection: str) -> Tool:
    """Return the tool `search`: passages of a collection, the nearest first."""

    def search(
        query: Annotated[str, Size(least=1, most=500)],
        collection: Annotated[str, Size(most=64)] = "",
    ) -> list[dict[str, Any]]:
        """Search the stored documents.

        Args:
            query: what to look for, in a few words.
            collection: the name of the collection; empty for the usual one.
        """
        passages = find(query, collection or default_collection)
        return [
            {"title": passage.title, "text": passage.chunk.text}
            for passage in passages[:MAX_PASSAGES]
        ]

    return Tool.from_function(search, effect=Effect.READ, timeout_s=20.0)


def build_registry(settings: Settings, find: Find | None) -> ToolRegistry:
    """Return the tools that the settings name; without `find` there is no search.

    Raises:
        ConfigurationError: a table, a host or a file of tools cannot be used.
    """
    try:
        return ToolRegistry(_tools(settings, find))
    except (ToolDeclarationError, ValueError) as error:
        raise ConfigurationError(f"the tools cannot be had: {error}") from error


def _tools(settings: Settings, find: Find | None) -> list[Tool]:
    builtin: dict[str, Callable[[], Sequence[Tool]]] = {
        "calculator": lambda: (calculator(),),
        "clock": lambda: clock(zone=settings.timezone),
        "units": lambda: (unit_converter(),),
        "programs": lambda: (program_tool(),),
        "search": lambda: (
            ()
            if find is None
            else (search_tool(find, default_collection=settings.default_collection),)
        ),
    }
    tools = [tool for name in settings.tools for tool in builtin[name]()]
    if settings.tool_tables:
        tools.append(table_lookup(dict(settings.tool_tables)))
    if settings.tool_hosts:
        tools.append(web_request(WebLimits(hosts=settings.tool_hosts)))
    for path in settings.tool_files:
        tools += tools_of_file(path)
    return tools


def strategies_of(registry: ToolRegistry, *, call_form: CallForm = OWN) -> tuple[Strategy, ...]:
    """Return the strategies that these tools allow; the first is the usual one.

    `call_form` is how the model writes calls.
    """
    specs = registry.specs
    found: list[Strategy] = [
        NativeCalling(specs, form=call_form),
        ReAct(specs),
        PlanReflect(specs, form=call_form),
    ]
    if SEARCH in registry:
        found.append(SelfAsk(search=SEARCH))
    if PROGRAM in registry:
        found.append(ProgramAided())
    return tuple(found)
