"""The built-in documents go into their own collection or nowhere."""

from pathlib import Path

from api.bootstrap import index_language_topics, start_library_indexing
from api.settings import PYTHON_COLLECTION
from api.testing import application_of_doubles


def test_the_language_reference_is_indexed_where_its_collection_is_the_default(
    tmp_path: Path,
) -> None:
    with application_of_doubles(tmp_path) as application:
        index_language_topics(application)
        (info,) = application.store.list()
        assert info.name == PYTHON_COLLECTION
        assert info.num_documents > 50


def test_nothing_is_added_to_another_collection_that_is_the_default(tmp_path: Path) -> None:
    with application_of_doubles(tmp_path, default_collection="manuals") as application:
        application.ingestor.ingest_bytes("a.md", b"# Kettle\n\nIt boils.", "manuals")
        index_language_topics(application)
        start_library_indexing(application)
        assert application.background.progress("manuals") is None
        assert application.background.progress(PYTHON_COLLECTION) is None
        (info,) = application.store.list()
        assert (info.name, info.num_documents) == ("manuals", 1)
