"""`python -m api index …`: what can be done with stored collections."""

import typer

from api.cli.index_collections import (
    CREATE_EXAMPLE,
    DELETE_EXAMPLE,
    DESCRIBE_EXAMPLE,
    create,
    delete,
    describe,
)
from api.cli.index_reembed import REEMBED_EXAMPLE, reembed
from api.cli.index_transfer import EXPORT_EXAMPLE, IMPORT_EXAMPLE, export, import_
from api.cli.index_upkeep import (
    COMPACT_EXAMPLE,
    HEALTH_EXAMPLE,
    PURGE_EXAMPLE,
    REPAIR_EXAMPLE,
    VERIFY_EXAMPLE,
    compact,
    health,
    purge,
    repair,
    verify,
)
from api.cli.index_versions import (
    SEARCH_EXAMPLE,
    SNAPSHOTS_EXAMPLE,
    search,
    snapshots,
)
from api.cli.tune import TUNE_EXAMPLE, tune

index_app = typer.Typer(
    help="Stored collections: made, tuned, verified, exported, removed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
index_app.command("create", epilog=CREATE_EXAMPLE)(create)
index_app.command("describe", epilog=DESCRIBE_EXAMPLE)(describe)
index_app.command("delete", epilog=DELETE_EXAMPLE)(delete)
index_app.command("search", epilog=SEARCH_EXAMPLE)(search)
index_app.command("snapshots", epilog=SNAPSHOTS_EXAMPLE)(snapshots)
index_app.command("export", epilog=EXPORT_EXAMPLE)(export)
index_app.command("import", epilog=IMPORT_EXAMPLE)(import_)
index_app.command("tune", epilog=TUNE_EXAMPLE)(tune)
index_app.command("health", epilog=HEALTH_EXAMPLE)(health)
index_app.command("verify", epilog=VERIFY_EXAMPLE)(verify)
index_app.command("repair", epilog=REPAIR_EXAMPLE)(repair)
index_app.command("compact", epilog=COMPACT_EXAMPLE)(compact)
index_app.command("purge", epilog=PURGE_EXAMPLE)(purge)
index_app.command("reembed", epilog=REEMBED_EXAMPLE)(reembed)


@index_app.callback()
def _options() -> None:
    """Stored collections: made, tuned, verified, exported, removed."""
