"""`bot graph`: the picture of a bot's tasks."""

from typing import Annotated, Literal

import typer

from api.bot_bootstrap import story_parts
from api.cli.bot_options import BotFolder, read_bot
from api.own_trackers import own_trackers
from dialog.builder.coverage import coverage_of
from dialog.builder.graph_text import DRAWINGS
from dialog.builder.stories import run_stories
from dialog.builder.task_graph import graph_of


def graph(
    bot: BotFolder,
    form: Annotated[
        Literal["dot", "mermaid", "svg"], typer.Option("--format", help="The form of the text.")
    ] = "dot",
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Dash what no test of the bot touches.")
    ] = False,
) -> None:
    """Draw the tasks of a bot."""
    definition = read_bot(bot)
    touched: frozenset[str] | None = None
    if coverage:
        with own_trackers() as own:
            trackers, _ = story_parts(own.of(definition))
            results = run_stories(definition, trackers)
        found = coverage_of(definition, [result.events for result in results])
        touched = frozenset().union(*found.touched.values())
    print(DRAWINGS[form](graph_of(definition), touched), end="")
