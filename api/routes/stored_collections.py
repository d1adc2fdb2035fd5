"""Collections: made, listed, searched, deleted."""

from fastapi import APIRouter

from api.application import Application
from api.collection_schemas import CollectionList, CollectionModel, CollectionRequest
from api.dependencies import AdminOnly, ApplicationDep, CollectionName
from api.error_table import RequestError, caller_mistakes
from api.passage_search import PassageSearch
from api.schemas import Deleted, HitList, SearchRequest
from index.declared_fields import check_names
from index.protocol import CollectionInfo
from rag.late_interaction import most_vectors

router = APIRouter()


@router.get("/v1/collections")
def list_collections(application: ApplicationDep) -> CollectionList:
    """List the collections by name, with the progress of those being indexed."""
    return CollectionList(data=[_shown(application, info) for info in application.store.list()])


@router.post("/v1/collections", status_code=201)
def create_collection(body: CollectionRequest, application: ApplicationDep) -> CollectionModel:
    """Make an empty collection for the embedding model in use."""
    embedder = application.embedder
    with caller_mistakes("fields"):
        check_names(body.fields)
    with caller_mistakes("token_vectors"):
        most = most_vectors(embedder, wanted=body.token_vectors)
    with caller_mistakes("name"):
        info = application.store.create(
            body.name,
            embedder=embedder.name,
            fingerprint=embedder.fingerprint,
            dim=embedder.dim,
            metric=body.metric,
            language=body.language,
            fields=body.fields,
            token_vectors=most,
        )
    return _shown(application, info)


@router.get("/v1/collections/{name}")
def get_collection(name: CollectionName, application: ApplicationDep) -> CollectionModel:
    """Return one collection."""
    return _shown(application, application.store.info(name))


@router.delete("/v1/collections/{name}", dependencies=[AdminOnly], response_model_exclude_none=True)
def delete_collection(name: CollectionName, application: ApplicationDep) -> Deleted:
    """Remove a collection and everything in it."""
    if application.background.progress(name) is not None:
        raise RequestError(
            409,
            f"collection {name!r} is being indexed, which would make it anew; delete it once that"
            " has ended",
            param="name",
            code="collection_busy",
            type_="conflict",
            headers={"x-should-retry": "false"},
        )
    application.store.delete(name)
    return Deleted(name=name, object="collection")


@router.post("/v1/collections/{name}/search", response_model_exclude_none=True)
def search_collection(
    name: CollectionName, body: SearchRequest, application: ApplicationDep
) -> HitList:
    """Return the k passages nearest to a query, best first."""
    if not body.query.strip():
        raise RequestError(
            400, "query is empty; say what to look for", param="query", code="invalid_value"
        )
    with application.foreground.busy(), caller_mistakes("as_of"):
        search = PassageSearch(
            application.store,
            application.embedder,
            application.priors,
            application.gate_of,
            application.search,
            application.plan_of,
        )
        return search.run(name, body)


def _shown(application: Application, info: CollectionInfo) -> CollectionModel:
    return CollectionModel.from_info(info, application.background.progress(info.name))
