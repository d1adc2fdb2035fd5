"""`bot test`: the tests of a bot file, with what they leave untouched."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from api.bot_bootstrap import story_parts
from api.cli.bot_options import AsJson, BotFolder, print_json, read_bot
from api.own_trackers import own_trackers
from dialog.bot.definition import BotDefinition
from dialog.builder.coverage import Coverage, coverage_of
from dialog.builder.stories import StoryResult, run_story, stories_of
from dialog.simulation.tool_behaviour import fresh_bot

_KINDS = ("tasks", "slots", "rules", "responses", "branches")


def run_tests(
    bot: BotFolder,
    only: Annotated[
        str | None, typer.Option("--only", help="Run the tests whose name holds this.")
    ] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Tell what no test touches.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print the conversations that fail.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the tests of a bot. Exit code 1: one failed; 2: the bot cannot be used."""
    definition = read_bot(bot)
    chosen = [s for s in stories_of(definition) if only is None or only.lower() in s.name.lower()]
    with own_trackers() as own:
        trackers, knowledge = story_parts(own.of(definition))
        results = [
            run_story(fresh_bot(definition), trackers, story, knowledge=knowledge)
            for story in chosen
        ]
    covered = coverage_of(definition, [result.events for result in results])
    if as_json:
        print_json(_as_json(results, covered))
    else:
        _print(definition, results, covered if coverage else None, is_verbose=verbose)
    if not all(result.has_passed for result in results):
        raise typer.Exit(1)


def _print(
    bot: BotDefinition,
    results: Sequence[StoryResult],
    covered: Coverage | None,
    *,
    is_verbose: bool,
) -> None:
    for result in results:
        if result.has_passed:
            continue
        print(f"FAILED {result.story.name}  {result.story.source}")
        for failure in result.failures:
            print(f"    {failure}")
        if is_verbose:
            print(result.transcript())
    failed = sum(not result.has_passed for result in results)
    print(f"{bot.name}: {len(results)} tests, {failed} failed")
    for kind in _KINDS if covered is not None else ():
        assert covered is not None
        missed = ", ".join(covered.missed(kind))
        print(f"  {kind:<10}{covered.share(kind):6.1%}" + (f"  not: {missed}" if missed else ""))


def _as_json(results: Sequence[StoryResult], covered: Coverage) -> dict[str, Any]:
    return {
        "tests": [
            {
                "name": result.story.name,
                "passed": result.has_passed,
                "failures": list(result.failures),
                "source": result.story.source,
            }
            for result in results
        ],
        "coverage": {
            kind: {"share": covered.share(kind), "missed": list(covered.missed(kind))}
            for kind in _KINDS
        },
    }
