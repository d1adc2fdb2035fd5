"""`python -m api index …`: what can be done with the index of a collection."""

import typer

from api.cli.tune import tune

index_app = typer.Typer(
    help="The index of a collection.", no_args_is_help=True, rich_markup_mode=None
)
index_app.command("tune")(tune)


@index_app.callback()
def _options() -> None:
    """The index of a collection."""
