"""`python -m api chat`: questions and cited answers in the terminal."""

import json
from typing import Annotated

import typer
from rich.console import Console

from api.cli.tenant_option import Tenant, settings_for


def chat(  # noqa: PLR0913  # the options of a command, all of them by name
    collection: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The collection to answer from; the default collection if not given.",
            show_default=False,
        ),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Chat with the model alone, without sources.")
    ] = False,
    conversation: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Go on with a stored conversation.", show_default=False),
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Begin a new conversation, which is the default.")
    ] = False,
    question: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Ask this one question and end.", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the answer to --question as JSON.")
    ] = False,
    tools: Annotated[
        bool, typer.Option("--tools", help="Let answers use the service's own tools.")
    ] = False,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --tools: native, react, plan, self_ask or program.",
            show_default=False,
        ),
    ] = None,
    tenant: Tenant = "",
) -> None:
    """Ask questions; answers stream, with their sources beneath."""
    if new and conversation is not None:
        raise typer.BadParameter("--new and --conversation contradict each other")
    if conversation is not None and (collection is not None or plain):
        raise typer.BadParameter("a stored conversation keeps its own collection")
    if plain and collection is not None:
        raise typer.BadParameter("--plain and --collection contradict each other")
    if as_json and question is None:
        raise typer.BadParameter("--json needs --question")
    if question is not None and not question.strip():
        raise typer.BadParameter("the question is empty", param_hint="--question")
    if strategy is not None and not tools:
        raise typer.BadParameter("--strategy needs --tools")
    # Here and not above: the libraries of a desk cost a second, and help needs none of them.
    from api.cli.desks import open_desk  # noqa: PLC0415
    from api.cli.terminal_dialogue import Dialogue, preparing  # noqa: PLC0415
    from dialog.reply import ActingRequest  # noqa: PLC0415
    from tools.runs import RunRequest  # noqa: PLC0415

    acting = ActingRequest(run=RunRequest(strategy=strategy or "")) if tools else None
    settings = settings_for(tenant)
    name = None if plain else (collection or settings.default_collection)
    # The corpus that comes with the program is the nameless tenant's.
    prepare = None if tenant else preparing(settings, name, conversation)
    with open_desk(settings, tenant, prepare=prepare) as desk:
        id_ = desk.open_conversation(
            collection=None if conversation else name, conversation_id=conversation
        )
        dialogue = Dialogue(desk, id_, Console(), acting)
        if question is None:
            dialogue.run()
        elif as_json:
            print(json.dumps(dialogue.answer_as_json(question), indent=2, ensure_ascii=False))
        else:
            dialogue.answer(question)
