"""What routes ask for, as annotated types."""

from typing import Annotated

from fastapi import Depends, Path, Request

from api.access import Caller
from api.application import Application
from api.error_table import RequestError


def _application(request: Request) -> Application:
    application: Application = request.app.state.application
    return application


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _admin(request: Request) -> Caller:
    caller = _caller(request)
    if not caller.is_admin:
        raise RequestError(
            403,
            "deleting collections and documents needs the admin key; send it as"
            " 'authorization: Bearer KEY'",
            type_="permission_error",
            code="admin_key_required",
        )
    return caller


ApplicationDep = Annotated[Application, Depends(_application)]
CallerDep = Annotated[Caller, Depends(_caller)]
AdminOnly = Depends(_admin)
CollectionName = Annotated[str, Path(description="The collection's name.")]
DocumentId = Annotated[str, Path(description="The document's id.")]
