"""What keeps a collection well: its health, and verify, repair, compact, purge."""

from fastapi import APIRouter

from api.dependencies import AdminOnly, ApplicationDep, CollectionName
from api.upkeep_schemas import (
    CompactionModel,
    CompactRequest,
    HealthModel,
    PurgeRequest,
    VerificationModel,
    VerifyRequest,
)

router = APIRouter()


@router.get("/v1/collections/{name}/health")
def get_health(
    name: CollectionName, application: ApplicationDep, measure: bool = False
) -> HealthModel:
    """Tell how a collection does; with `measure`, its canaries are asked now."""
    upkeep = application.store.maintenance(name)
    return HealthModel.of(name, upkeep.health(measure=measure), upkeep.stats())


@router.post("/v1/collections/{name}/verify")
def verify_collection(
    name: CollectionName, application: ApplicationDep, body: VerifyRequest | None = None
) -> VerificationModel:
    """Compare all that is stored of a collection with its hashes and with itself."""
    absent = [] if body is None else body.absent
    found = application.store.maintenance(name).verify(absent=absent)
    return VerificationModel.of(name, found)


@router.post("/v1/collections/{name}/repair", dependencies=[AdminOnly])
def repair_collection(name: CollectionName, application: ApplicationDep) -> VerificationModel:
    """Make anew what is derived and damaged; what is still wrong comes back."""
    return VerificationModel.of(name, application.store.maintenance(name).repair())


@router.post("/v1/collections/{name}/compact", dependencies=[AdminOnly])
def compact_collection(
    name: CollectionName, application: ApplicationDep, body: CompactRequest | None = None
) -> CompactionModel:
    """Write what is new into segments, and merge those that are due."""
    budget = None if body is None else body.disk_budget
    upkeep = application.store.maintenance(name)
    postponed = upkeep.compact(disk_budget=budget)
    return CompactionModel(name=name, postponed=postponed, retuned=upkeep.retune())


@router.post("/v1/collections/{name}/purge", dependencies=[AdminOnly])
def purge_documents(
    name: CollectionName, body: PurgeRequest, application: ApplicationDep
) -> VerificationModel:
    """Remove documents and their earlier versions for good; what is left of them comes back."""
    found = application.store.maintenance(name).purge(body.document_ids)
    return VerificationModel.of(name, found)
