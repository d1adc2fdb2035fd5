"""`python -m api train …`: heads that steer what is written, from labelled texts."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from api.cli.progress import progress_bars
from api.settings import load_settings
from llm.model_store import ModelStore
from llm.training.head_kind import HeadKind
from llm.training.labelled_texts import DataFormat

train_app = typer.Typer(
    name="train",
    help="Train what steers the answers.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@train_app.callback()
def _options() -> None:
    """Train what steers the answers."""


@train_app.command(
    "discriminator",
    epilog="Example:  python -m api train discriminator --data reviews.tsv --label 1 --name praise",
)
def discriminator(  # noqa: PLR0913
    data: Annotated[
        list[Path], typer.Option("--data", help="A file of labelled texts, or a folder of some.")
    ],
    label: Annotated[str, typer.Option("--label", help="The label of texts that are as wanted.")],
    name: Annotated[str, typer.Option("--name", help="Of the head's file.")],
    against: Annotated[
        str | None, typer.Option("--against", help="The label of the others; default: all others.")
    ] = None,
    kind: Annotated[
        HeadKind, typer.Option("--kind", help="What is learnt; `reward` is for rewards.")
    ] = "bilinear",
    data_format: Annotated[
        DataFormat, typer.Option("--format", help="Of the files; `auto` goes by their endings.")
    ] = "auto",
    scorer: Annotated[
        str | None,
        typer.Option("--scorer", help="What requests call it; default: the head's name."),
    ] = None,
    opposite: Annotated[
        str | None, typer.Option("--opposite", help="What requests call its opposite.")
    ] = None,
    licence: Annotated[str, typer.Option("--licence", help="Of the data, for the card.")] = "",
    share: Annotated[
        float, typer.Option("--share", help="Share of the texts to use, by a hash of the text.")
    ] = 1.0,
    most: Annotated[
        int | None, typer.Option("--most", help="Use at most so many texts, half of each kind.")
    ] = None,
    ascii_only: Annotated[
        bool, typer.Option("--ascii-only", help="Leave out texts with many other characters.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder; default: `heads` beside the models.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all that is random.")] = 0,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Default: what measures fastest.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Train a head that tells how surely a text will be of a label, from each of its prefixes.

    Requests name it in `causerie.steer`. The decoder stays as it is.
    """
    # Here and not above: torch costs seconds, and help is printed without it.
    from llm.training.discriminators import DiscriminatorPlan  # noqa: PLC0415
    from llm.training.frozen_decoder import FrozenDecoder  # noqa: PLC0415
    from llm.training.head_file import check_name  # noqa: PLC0415
    from llm.training.recipe import TextChoice, train_discriminator  # noqa: PLC0415

    try:
        choice = TextChoice(
            paths=tuple(data),
            label=label,
            against=against,
            data_format=data_format,
            is_ascii_only=ascii_only,
            share=share,
            most=most,
        )
        plan = DiscriminatorPlan(kind=kind, seed=seed)
        check_name(name)
        scorers = _scorers(scorer or name, opposite)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    settings = load_settings()
    folder = out or settings.heads
    about = {
        "scorers": scorers,
        "model": settings.chat_model,
        "data_licence": licence,
        "command": shown_command(sys.argv[1:]),
    }
    choice.texts()  # what is wrong with the files is told before the model is loaded
    with progress_bars(Console(stderr=True)) as bars:
        bars("loading the model", 0, 1)
        weights = ModelStore(settings.home).path(settings.chat_model)
        decoder = FrozenDecoder.load(weights, threads=threads)
        bars("loading the model", 1, 1)
        card = train_discriminator(
            decoder, choice, plan, folder=folder, name=name, about=about, on_progress=bars
        )
    if as_json:
        sys.stdout.write(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
        return
    _tell(card, folder / f"{name}.safetensors")


def _scorers(name: str, opposite: str | None) -> dict[str, int]:
    if name == opposite:
        raise ValueError(f"a scorer and its opposite need two names, got {name!r} twice")
    return {name: 1} if opposite is None else {name: 1, opposite: -1}


def shown_command(words: list[str]) -> str:
    """Return the command as it was given, with paths cut to their last part."""
    shown = [Path(word).name if "/" in word or "\\" in word else word for word in words]
    return " ".join(["python -m api", *(f'"{word}"' if " " in word else word for word in shown)])


def _tell(card: dict[str, Any], path: Path) -> None:
    metric = card["metric"]
    console = Console()
    console.print(Text(f"{path}"), soft_wrap=True)
    lines = [
        ("scorers", ", ".join(card["scorers"])),
        ("texts", f"{card['texts']}, {metric['held_out_texts']} readings held out"),
        ("accuracy", f"{metric['accuracy']:.3f} on whole held-out texts"),
        ("AUC", f"{metric['auc']:.3f}"),
    ]
    for label, value in lines:
        console.print(Text(f"{label:<10}{value}"), soft_wrap=True)
    for length, error in metric["expected_calibration_error_by_prefix_tokens"].items():
        if error is not None:
            console.print(Text(f"{'':<10}calibration error {error:.3f} on {length} tokens"))
