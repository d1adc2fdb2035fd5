"""What keeps a collection well: its health, and verify, repair, compact, purge."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import AdminOnly, ApplicationDep, CollectionName
from api.upkeep_schemas import (
    ChunkList,
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


@router.get("/v1/collections/{name}/chunks")
def list_chunks(
    name: CollectionName,
    application: ApplicationDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int, Query(ge=0)] = 0,
) -> ChunkList:
    """List the chunks of a collection by id, in pages."""
    found = application.store.maintenance(name).scan(limit + 1, after)
    return ChunkList.of(found, limit)


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
    upkeep = application.store.maintenance(name)
    return CompactionModel.done(name, upkeep, body or CompactRequest())


@router.post("/v1/collections/{name}/purge", dependencies=[AdminOnly])
def purge_documents(
    name: CollectionName, body: PurgeRequest, application: ApplicationDep
) -> VerificationModel:
    """Remove documents and their earlier versions for good; what is left of them comes back."""
    found = application.store.maintenance(name).purge(body.document_ids)
    return VerificationModel.of(name, found)
