"""`python -m api engine …`: what the engine of a running server does right now."""

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from api.engine_report import EngineStateModel
from api.errors import ServerError
from api.settings import load_settings

engine_app = typer.Typer(
    name="engine",
    help="Look at the engine of the running server.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@engine_app.callback()
def _options() -> None:
    """Look at the engine of the running server."""


@engine_app.command("state")
def state(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")] = False,
) -> None:
    """Tell what runs and waits, how full the cache is, and what was counted since the start."""
    found = _asked()
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    console = Console()
    for label, words in _lines(EngineStateModel.model_validate(found)):
        console.print(Text(f"{label:<10}{words}"), soft_wrap=True)


def _asked() -> Mapping[str, Any]:
    # Here and not above: the libraries of a desk cost a second, and help needs none of them.
    from api.cli.desks import remote_desk  # noqa: PLC0415

    settings = load_settings()
    desk = remote_desk(settings)
    if desk is None:
        raise ServerError(
            f"no server runs on the state folder {settings.state}; start one with"
            " 'python -m api serve', or name its folder in CAUSERIE_STATE"
        )
    try:
        return desk.engine_state()
    finally:
        desk.close()


def _lines(engine: EngineStateModel) -> list[tuple[str, str]]:
    counters, limits = engine.counters, engine.limits
    return [
        ("model", engine.model),
        (
            "computes",
            f"{engine.kernels}, {engine.threads} threads, {engine.determinism};"
            f" {engine.fingerprint}",
        ),
        (
            "requests",
            f"{engine.running} running of at most {limits.max_running}, {engine.waiting} waiting of"
            f" at most {limits.max_waiting}",
        ),
        (
            "cache",
            f"{engine.used_blocks:,} of {engine.num_blocks:,} blocks of {engine.block_size}"
            f" positions in use ({engine.kv_usage:.1%}), {engine.cached_blocks:,} can be found"
            f" again, {engine.evicted_blocks:,} driven out",
        ),
        (
            "prefix",
            f"{engine.prefix_hit_tokens:,} of {engine.prefix_queried_tokens:,} prompt tokens found"
            f" again ({_percent(counters.prefix_hit_rate)})",
        ),
        (
            "tokens",
            f"{counters.prompt_tokens:,} read, {counters.generated_tokens:,} written, in"
            f" {counters.steps:,} steps; {counters.preemptions:,} preemptions",
        ),
        (
            "time",
            f"{counters.step_s:,.1f} s in steps, {_percent(counters.overhead_share)} of it not the"
            f" model's; first token after {_seconds(counters.mean_time_to_first_token_s)}, others"
            f" after {_seconds(counters.mean_inter_token_s)} on average",
        ),
        ("ends", _counts(counters.ends)),
        ("cancelled", _counts(counters.cancelled)),
    ]


def _percent(share: float | None) -> str:
    return "nothing yet" if share is None else f"{share:.1%}"


def _seconds(mean: float | None) -> str:
    return "nothing yet" if mean is None else f"{mean:.3f} s"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none yet"
