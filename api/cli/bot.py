"""`python -m api bot …`: everything a builder does with a bot, without a server."""

import typer

from api.cli.bot_calibrate import calibrate
from api.cli.bot_chat import chat
from api.cli.bot_check import check
from api.cli.bot_evaluate import evaluate_corpus
from api.cli.bot_graph import graph
from api.cli.bot_log import explain, replay
from api.cli.bot_new import new
from api.cli.bot_simulate import simulate
from api.cli.bot_stories import run_tests

bot_app = typer.Typer(
    name="bot",
    help="Build, try and test task bots.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@bot_app.callback()
def _options() -> None:
    """Build, try and test task bots."""


bot_app.command("new", epilog="Example:  python -m api bot new corner_table")(new)
bot_app.command("graph", epilog="Example:  python -m api bot graph examples/bank --format svg")(
    graph
)
bot_app.command("chat", epilog="Example:  python -m api bot chat examples/restaurant")(chat)
bot_app.command("test", epilog="Example:  python -m api bot test examples/restaurant --coverage")(
    run_tests
)
bot_app.command(
    "simulate",
    epilog="Example:  python -m api bot simulate examples/bank --dialogues 50 --level text",
)(simulate)
bot_app.command("calibrate", epilog="Example:  python -m api bot calibrate my_bot")(calibrate)
bot_app.command("check", epilog="Example:  python -m api bot check examples/travel --strict")(check)
bot_app.command(
    "replay", epilog="Example:  python -m api bot replay examples/bank talk.jsonl --full"
)(replay)
bot_app.command("explain", epilog="Example:  python -m api bot explain examples/bank talk.jsonl 2")(
    explain
)
bot_app.command(
    "evaluate",
    epilog="Example:  python -m api bot evaluate --format woz --data ../shared/data/woz",
)(evaluate_corpus)
