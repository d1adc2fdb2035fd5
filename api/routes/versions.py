"""Named states of a collection."""

from fastapi import APIRouter

from api.collection_schemas import SnapshotList, SnapshotModel, SnapshotRequest
from api.dependencies import ApplicationDep, CollectionName

router = APIRouter()


@router.get("/v1/collections/{name}/snapshots")
def list_snapshots(name: CollectionName, application: ApplicationDep) -> SnapshotList:
    """List the named states of a collection, the oldest first."""
    versions = application.store.versions(name)
    return SnapshotList(
        data=[SnapshotModel.of(one) for one in versions.snapshots()], seq=versions.latest()
    )


@router.post("/v1/collections/{name}/snapshots", status_code=201)
def take_snapshot(
    name: CollectionName, body: SnapshotRequest, application: ApplicationDep
) -> SnapshotModel:
    """Give the present state of a collection a name, in place of an older one of that name."""
    return SnapshotModel.of(application.store.versions(name).snapshot(body.name))
