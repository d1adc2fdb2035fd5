"""Is the process alive, and can it answer? For supervisors; no key needed."""

from fastapi import APIRouter, Response

from api.dependencies import ApplicationDep

router = APIRouter()


@router.get("/livez")
async def is_alive() -> dict[str, str]:
    """Say that the process serves requests at all."""
    return {"status": "ok"}


@router.get("/readyz")
async def is_ready(application: ApplicationDep, response: Response) -> dict[str, str]:
    """Say whether questions can be answered; 503 and the reason if not."""
    reason = application.readiness.reason
    if reason is None:
        return {"status": "ready"}
    response.status_code = 503
    return {"status": "not ready", "reason": reason}
