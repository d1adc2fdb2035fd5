"""`python -m api eval …`: how good the answers from a collection are."""

import typer

from api.cli.eval_build import BUILD_EXAMPLE, build
from api.cli.eval_feedback import feedback_app
from api.cli.eval_gate import GATE_EXAMPLE, gate
from api.cli.eval_run import RUN_EXAMPLE, run

eval_app = typer.Typer(
    help="How good the answers from a collection are, on questions from its own documents.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
eval_app.command("build", epilog=BUILD_EXAMPLE)(build)
eval_app.command("run", epilog=RUN_EXAMPLE)(run)
eval_app.command("gate", epilog=GATE_EXAMPLE)(gate)
eval_app.add_typer(feedback_app, name="feedback")


@eval_app.callback()
def _options() -> None:
    """How good the answers from a collection are, on questions from its own documents."""
