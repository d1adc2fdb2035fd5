"""`python -m api train adapter|ngram`: models that others are weighed against, from texts."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from api.cli.progress import progress_bars
from api.cli.train import shown_command, train_app
from api.settings import Settings, load_settings
from llm.model_store import ModelStore
from llm.training.labelled_texts import DataFormat

ADAPTER_EXAMPLE = (
    "Example:  python -m api train adapter --data reviews.tsv --label 1 --name praise_expert"
)
NGRAM_EXAMPLE = "Example:  python -m api train ngram --data manuals.txt --name manuals --order 4"
NAME = typer.Option("--name", help="Of the file.")
LICENCE = typer.Option("--licence", help="Of the data, for the card.")
OUT = typer.Option("--out", help="A folder; default: `heads` beside the models.")
AS_JSON = typer.Option("--json", help="Print the card as JSON.")


@train_app.command("adapter", epilog=ADAPTER_EXAMPLE)
def adapter(  # noqa: PLR0913
    data: Annotated[
        list[Path], typer.Option("--data", help="A file of labelled texts, or a folder of some.")
    ],
    label: Annotated[str, typer.Option("--label", help="The label of the texts to learn from.")],
    name: Annotated[str, NAME],
    data_format: Annotated[
        DataFormat, typer.Option("--format", help="Of the files; `auto` goes by their endings.")
    ] = "auto",
    licence: Annotated[str, LICENCE] = "",
    share: Annotated[
        float, typer.Option("--share", help="Share of the texts to use, by a hash of the text.")
    ] = 1.0,
    ascii_only: Annotated[
        bool, typer.Option("--ascii-only", help="Leave out texts with many other characters.")
    ] = False,
    rank: Annotated[int, typer.Option("--rank", help="Of the change to the hidden state.")] = 16,
    epochs: Annotated[int, typer.Option("--epochs", help="Times that the texts are read.")] = 5,
    out: Annotated[Path | None, OUT] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all that is random.")] = 0,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Default: what measures fastest.")
    ] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Train the decoder's head to write like the texts of a label: an expert, or an anti-expert.

    Requests name a pair of them in `causerie.experts`. The decoder stays as it is.
    """
    # Here and not above: torch costs seconds, and help is printed without it.
    from llm.training.adapters import AdapterRecipe, train_adapter_head  # noqa: PLC0415
    from llm.training.frozen_decoder import FrozenDecoder  # noqa: PLC0415
    from llm.training.head_file import check_name  # noqa: PLC0415
    from llm.training.recipe import TextChoice  # noqa: PLC0415

    try:
        choice = TextChoice(
            paths=tuple(data),
            label=label,
            data_format=data_format,
            is_ascii_only=ascii_only,
            share=share,
        )
        recipe = AdapterRecipe(rank=rank, epochs=epochs, seed=seed)
        check_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    choice.texts()  # what is wrong with the files is told before the model is loaded
    settings = load_settings()
    folder = out or settings.heads
    with progress_bars(Console(stderr=True)) as progress:
        progress("loading the model", 0, 0)
        weights = ModelStore(settings.home).path(settings.chat_model)
        card = train_adapter_head(
            FrozenDecoder.load(weights, threads=threads),
            choice,
            recipe,
            folder=folder,
            name=name,
            about=_about(settings, licence),
            on_progress=progress,
        )
    metric = card["metric"]
    _tell(
        card,
        folder / f"{name}.safetensors",
        f"perplexity {metric['perplexity_before']} of the decoder, {metric['perplexity']} with the"
        f" adapter, on {metric['held_out_texts']} held-out texts",
        as_json=as_json,
    )


@train_app.command("ngram", epilog=NGRAM_EXAMPLE)
def ngram(
    data: Annotated[list[Path], typer.Option("--data", help="A plain text file.")],
    name: Annotated[str, NAME],
    order: Annotated[int, typer.Option("--order", help="Tokens of an entry at most.")] = 3,
    most: Annotated[int, typer.Option("--most", help="Keep at most so many entries.")] = 300_000,
    licence: Annotated[str, LICENCE] = "",
    out: Annotated[Path | None, OUT] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Count the n-grams of texts: an amateur to be contrasted with, or a drafter.

    Requests name it as `ngram:NAME` in `causerie.contrast`, or in `causerie.speculation`.
    """
    from llm.checkpoint import load_decoder  # noqa: PLC0415
    from llm.training.head_file import check_name  # noqa: PLC0415
    from llm.training.ngram import NGramPlan, train_ngram  # noqa: PLC0415
    from llm.unembedding import Unembedding  # noqa: PLC0415

    try:
        plan = NGramPlan(paths=tuple(data), order=order, max_entries=most)
        check_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    plan.texts()  # what is wrong with the files is told before the model is loaded
    settings = load_settings()
    folder = out or settings.heads
    decoder = load_decoder(ModelStore(settings.home).path(settings.chat_model))
    card = train_ngram(
        decoder.tokenizer.encode,
        Unembedding.of_weight(decoder.model.head_weight),
        plan,
        folder=folder,
        name=name,
        about=_about(settings, licence),
    )
    _tell(
        card,
        folder / f"{name}.safetensors",
        f"{card['entries']} entries of {card['tokens']} tokens, perplexity"
        f" {card['metric']['perplexity']} on what was held out",
        as_json=as_json,
    )


def _about(settings: Settings, licence: str) -> dict[str, Any]:
    return {
        "model": settings.chat_model,
        "data_licence": licence,
        "command": shown_command(sys.argv[1:]),
    }


def _tell(card: dict[str, Any], path: Path, line: str, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
        return
    console = Console()
    console.print(Text(str(path)), soft_wrap=True)
    console.print(Text(line), soft_wrap=True)
