"""`python -m api watermark …`: the keys of the mark, and looking for it in a text."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from api.error_table import RequestError
from api.errors import ApplicationError
from api.settings import Settings, StatisticName, load_settings
from api.tokenizer_file import load_tokenizer
from api.watermark_finder import Finding, MarkFinder, Question
from api.watermark_keys import key_file, new_key_file, read_ring
from api.watermark_request import DetectionModel, DetectRequest
from api.watermark_schemes import SCHEME_NAMES
from llm.decoding.grammar_spec import MAX_WHITESPACE, GrammarSpec, JsonSchema
from llm.model_store import ModelStore
from llm.watermark.keys import KeyRing, rotate

MAX_BYTES = 4_000_000
STATISTICS: Final[Sequence[StatisticName]] = get_args(StatisticName)

Name = TypeVar("Name", bound=str)

watermark_app = typer.Typer(
    name="watermark",
    help="Keys of the watermark, and looking for it in texts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")]
NewName = Annotated[
    str, typer.Option("--name", help="Of the new key; a number is counted up if not given.")
]


@watermark_app.callback()
def _options() -> None:
    """Keys of the watermark, and looking for it in texts."""


@watermark_app.command("keygen", epilog="Example:  python -m api watermark keygen")
def keygen(name: NewName = "key-1", as_json: AsJson = False) -> None:
    """Make the file with a first key, which only its owner can read.

    A file that is there is never overwritten: `rotate` adds a key to it. No key is ever printed.
    """
    settings = load_settings()
    _refuse_list(settings)
    with _names_checked():
        ring = new_key_file(settings, name)
    _tell_keys(ring, key_file(settings), as_json=as_json)


@watermark_app.command("rotate", epilog="Example:  python -m api watermark rotate")
def rotate_keys(name: NewName = "", as_json: AsJson = False) -> None:
    """Add a new key, which marks from the next start of the server on.

    The old keys stay, so that what they marked stays detectable.
    """
    settings = load_settings()
    _refuse_list(settings)
    path = key_file(settings)
    with _names_checked():
        ring = rotate(path, name)
    _tell_keys(ring, path, as_json=as_json)


@watermark_app.command(
    "detect",
    epilog="Examples:  python -m api watermark detect reply.txt"
    "  ·  python -m api watermark detect - --json < chat.json",
)
def detect(  # noqa: PLR0913  # its options are what a user may say
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A text, or a conversation as JSON; - is standard input."
        ),
    ],
    scheme: Annotated[
        str | None, typer.Option("--scheme", help="Default: that of the settings.")
    ] = None,
    statistic: Annotated[
        str | None,
        typer.Option(
            "--statistic", help="Of synthid's bits: weighted (the default), mean or bayesian."
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="NAME", help="Only this key; default: all.")
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option("--schema", help="The JSON schema that the reply was made under."),
    ] = None,
    grammar: Annotated[
        Path | None,
        typer.Option("--grammar", help="The same for another grammar: JSON like causerie.grammar."),
    ] = None,
    whitespace: Annotated[
        int,
        typer.Option(
            "--whitespace", min=0, max=MAX_WHITESPACE, help="What causerie.whitespace was."
        ),
    ] = 0,
    search: Annotated[
        bool, typer.Option("--search", help="Look for a marked passage in a longer text.")
    ] = False,
    weighted: Annotated[
        bool,
        typer.Option(
            "--weighted", help="Let tokens count by how much choice the chat model had; loads it."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell whether a text carries the mark of one of the keys, and what that means.

    A conversation is `[{"role": …, "content": …}, …]`; its replies are judged together.
    """
    settings = load_settings()
    content = _read(file)
    form = _form(schema, grammar, whitespace)
    try:
        question = Question(
            replies=(content,) if form is not None else _replies(content),
            scheme=_one_of(SCHEME_NAMES, scheme, "scheme"),
            statistic=_one_of(STATISTICS, statistic, "statistic"),
            key=key,
            form=form,
            is_search=search,
            is_weighted=weighted,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with _finder(settings, has_model=weighted) as finder:
        finding = finder.find(question)
    if as_json:
        answer = DetectionModel.from_finding(finding, has_tokens=False)
        _print_json(answer.model_dump(exclude_none=True))
        return
    _tell(finding)


@contextmanager
def _finder(settings: Settings, *, has_model: bool) -> Iterator[MarkFinder]:
    ring = read_ring(settings)
    path = ModelStore(settings.home).path(settings.chat_model)
    model = load_tokenizer(path)
    with ExitStack() as stack:
        entropies = None
        if has_model:
            # Here and not above: torch costs seconds, and a tokenizer does without it.
            from api.bootstrap import build_engine  # noqa: PLC0415
            from llm.async_engine import AsyncEngine  # noqa: PLC0415

            engine = AsyncEngine(build_engine(settings, path))
            stack.callback(engine.close)
            entropies = engine.entropies
        yield MarkFinder(
            ring,
            model.tokenizer,
            size=model.size,
            served=settings.watermark_scheme,
            entropies=entropies,
        )


def _read(file: str) -> str:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ApplicationError(f"{file} cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ApplicationError(
            f"cannot tell, because {file} has more than {MAX_BYTES:,} bytes; give a part of it"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApplicationError(
            f"cannot tell, because {file} is not UTF-8 text (byte {error.start}); give text"
        ) from None


def _replies(content: str) -> tuple[str, ...]:
    """Return the assistant's messages of a conversation, or the whole text."""
    try:
        messages = json.loads(content) if content.lstrip().startswith("[") else None
    except (ValueError, RecursionError):
        return (content,)
    if not (isinstance(messages, list) and messages and all(map(_is_message, messages))):
        return (content,)
    return tuple(m["content"] or "" for m in messages if m["role"] == "assistant")


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and isinstance(value.get("content", 0), str | None)
    )


def _one_of(names: Sequence[Name], asked: str | None, what: str) -> Name | None:
    for known in names:
        if asked == known:
            return known
    if asked is not None:
        raise ValueError(f"there is no {what} {asked!r}; there are {', '.join(names)}")
    return None


def _form(schema: Path | None, grammar: Path | None, whitespace: int) -> GrammarSpec | None:
    """Return what a reply was held to; None for plain text."""
    if schema is not None and grammar is not None:
        raise typer.BadParameter("give one of --schema and --grammar, not both")
    path = schema or grammar
    if path is None:
        return None
    what = "JSON schema" if grammar is None else "grammar"
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if grammar is None:
            return JsonSchema.of(read, max_whitespace=whitespace)
        asked = DetectRequest.model_validate(
            {"text": "", "grammar": read, "whitespace": whitespace}
        )
        return asked.to_question().form
    except OSError as error:
        raise ApplicationError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise ApplicationError(f"{path} is no grammar: {error.errors()[0]['msg']}") from None
    except (ValueError, RecursionError, RequestError) as error:
        raise ApplicationError(f"{path} is no {what}: {error}") from None


def _refuse_list(settings: Settings) -> None:
    if settings.watermark_keys is not None:
        raise ApplicationError(
            "the watermark keys come from CAUSERIE_WATERMARK_KEYS, which wins over the file; add a"
            " key there as NAME:HEX after the others, or unset it"
        )


@contextmanager
def _names_checked() -> Iterator[None]:
    """Tell a wrong name as wrong usage."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _tell_keys(ring: KeyRing, path: Path, *, as_json: bool) -> None:
    if as_json:
        keys = [{"name": key.name, "id": key.id} for key in ring.keys]
        _print_json({"file": str(path), "current": ring.current.name, "keys": keys})
        return
    console = Console()
    console.print(Text(f"{path}"), soft_wrap=True)
    for key in ring.keys:
        marks = "  marks from the next start on" if key is ring.current else ""
        console.print(Text(f"{key.name:<12}{key.id}{marks}"), soft_wrap=True)
    console.print(Text("Keep a copy: without its key a mark cannot be found."), soft_wrap=True)


def _tell(finding: Finding) -> None:
    answer = DetectionModel.from_finding(finding, has_tokens=False)
    lines = [
        ("scheme", answer.scheme),
        ("key", f"{answer.key} ({answer.key_id})"),
        ("tokens", f"{answer.num_scored} that count, in {_counted(len(answer.replies))}"),
        ("p-value", _p(finding)),
    ]
    if answer.replies[0].passage is not None:
        lines.append(("passage", _short(answer.replies[0].passage)))
    console = Console()
    console.print(Text(answer.sentence), soft_wrap=True)
    for label, words in lines:
        console.print(Text(f"{label:<10}{words}"), soft_wrap=True)


def _counted(num_replies: int) -> str:
    return "one text" if num_replies == 1 else f"{num_replies} replies"


def _p(finding: Finding) -> str:
    value = finding.p_value
    exact = f"{value:.3g}" if value else f"10^{finding.log_p_value / 2.302585:.0f}"
    return f"{exact}, corrected for {finding.num_tests} sub-keys that were tried"


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 160 else f"{words[:80]} … {words[-78:]}"


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
