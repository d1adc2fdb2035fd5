"""`python -m api tools`: the service's own tools, listed and called by hand."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from api.settings import load_settings
from api.state_database import open_place
from api.tenant import place_of
from api.toolbox import build_registry
from llm.chat import ToolCall
from rag.document import Passage
from tools.audit import AuditLog
from tools.call_context import Caller
from tools.executor import ToolExecutor
from tools.mandate import Confirmations, Mandate
from tools.result import ToolResult

EXAMPLE = """Example: python -m api tools call calculate '{"expression": "17 * 23"}'"""

tools_app = typer.Typer(
    help="The tools that answers may use.", no_args_is_help=True, rich_markup_mode=None
)


@tools_app.command("list")
def list_tools(
    as_json: Annotated[bool, typer.Option("--json", help="Print their schemas as JSON.")] = False,
) -> None:
    """List the tools: what they do, whether they change anything, when the user is asked."""
    registry = build_registry(load_settings(), _no_search)
    if as_json:
        told = [
            {
                "name": tool.name,
                "description": tool.spec.description,
                "effect": tool.effect,
                "asks": tool.asks,
                "parameters": tool.schema,
            }
            for tool in registry
        ]
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("name", "effect", "asks", "what it does"):
        table.add_column(title)
    for tool in registry:
        table.add_row(tool.name, tool.effect, tool.asks, Text(tool.spec.description))
    Console().print(table)


@tools_app.command("call", epilog=EXAMPLE)
def call_tool(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tool.")],
    arguments: Annotated[
        str, typer.Argument(metavar="JSON", help="Its arguments, a JSON object.")
    ] = "{}",
    yes: Annotated[
        bool, typer.Option("--yes", help="Agree to a call that would ask first.")
    ] = False,
) -> None:
    """Call a tool as an answer would: checked, within its time, written to the audit log."""
    settings = load_settings()
    database = open_place(place_of(settings, ""))
    try:

        def find(text: str, collection: str) -> tuple[Passage, ...]:
            # Here and not above: torch costs seconds that the other tools need not wait.
            from api import bootstrap  # noqa: PLC0415

            return bootstrap.retrieval_alone(settings, database).find(text, collection).passages

        executor = ToolExecutor(registry=build_registry(settings, find), audit=AuditLog(database))
        result = _call(executor, ToolCall(id="by_hand", name=name, arguments=arguments), yes)
    finally:
        database.dispose()
    if result.is_error:
        Console(stderr=True).print(Text(f"{result.kind}: {result.content}"), soft_wrap=True)
        raise typer.Exit(1)
    print(result.content)


def _call(executor: ToolExecutor, call: ToolCall, is_agreed: bool) -> ToolResult:
    confirmations = Confirmations()
    mandate = Mandate(caller=Caller(user="command line"), confirmations=confirmations)
    result = executor.run(call, mandate)
    if result.confirmation is None:
        return result
    shown = f"{result.confirmation.tool} with {result.confirmation.arguments}"
    if not (is_agreed or _agrees(f"Call {shown}?")):
        return result
    confirmations.agree(result.confirmation.digest)
    return executor.run(call, mandate)


def _agrees(question: str) -> bool:
    try:
        said = Console(stderr=True).input(f"{escape(question)} \\[y/N] ")
    except EOFError:
        return False
    return said.strip().lower() in {"y", "yes"}


def _no_search(text: str, collection: str) -> tuple[Passage, ...]:
    del text, collection
    return ()
