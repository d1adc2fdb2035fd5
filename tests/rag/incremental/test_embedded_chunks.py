"""How many texts are embedded when something changed."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from index import tables
from index.database import writing
from index.store import CollectionStore
from rag.ingest import Ingestor
from rag.ingest_plan import Step
from rag.ingest_recipe import Recipe
from rag.ingest_report import Outcome
from rag.ingest_source import scan
from rag.testing import HashingEmbedder
from tests.rag.incremental.sections import applied, counted, found, plan_of, sections
from tests.rag.sample_files import document


def test_a_first_run_embeds_every_chunk_and_a_second_none(
    ingestor: Ingestor, embedder: HashingEmbedder, folder: Path
) -> None:
    reports = applied(ingestor, folder)
    assert {uri: r.num_embedded for uri, r in reports.items()} == {
        "docs/a.txt": 1,
        "docs/guide.md": 5,
        "docs/sub/b.txt": 1,
    }
    assert embedder.num_encoded == 7
    assert counted(applied(ingestor, folder)) == {}
    assert embedder.num_encoded == 7


def test_an_edited_paragraph_embeds_its_chunk_alone(
    ingestor: Ingestor, embedder: HashingEmbedder, store: CollectionStore, folder: Path
) -> None:
    applied(ingestor, folder)
    (folder / "guide.md").write_text(sections(ants="Ants keep aphids. " * 40))
    embedder.batch_sizes.clear()
    assert counted(applied(ingestor, folder)) == {"docs/guide.md": ("updated", 1, 4)}
    assert embedder.num_encoded == 1
    # What is stored is what embedding everything would have given.
    fresh = Ingestor(store, HashingEmbedder())
    fresh.apply(fresh.plan(scan([folder]), "fresh"), "fresh")
    for words in ("aphids", "hornets", "all about moths"):
        query = embedder.encode([words], "query")[0]
        scores = [
            [(hit.uri, hit.start, round(hit.score, 6)) for hit in store.open(name).search(query, 9)]
            for name in ("docs", "fresh")
        ]
        assert scores[0] == scores[1]


def test_a_renamed_file_embeds_nothing_and_is_found_under_its_new_name_alone(
    ingestor: Ingestor, embedder: HashingEmbedder, store: CollectionStore, folder: Path
) -> None:
    applied(ingestor, folder)
    before = store.maintenance("docs").stats().seq
    (folder / "a.txt").rename(folder / "sub" / "cats.txt")
    (folder / "guide.md").rename(folder / "handbook.md")
    embedder.batch_sizes.clear()
    plan = plan_of(ingestor, folder)
    assert (plan.count(Step.RENAME), plan.removed, plan.num_chunks) == (2, [], 0)
    assert counted(applied(ingestor, folder)) == {
        "docs/sub/cats.txt": ("renamed", 0, 1),
        "docs/handbook.md": ("renamed", 0, 5),
    }
    assert embedder.num_encoded == 0
    assert store.maintenance("docs").stats().seq == before + 1  # both, with what they replace
    assert found(store, embedder, "cat sofa bees") == {
        "docs/sub/cats.txt", "docs/handbook.md", "docs/sub/b.txt"
    }  # fmt: skip
    record = store.open("docs").find("docs/sub/cats.txt")
    assert record is not None
    assert record.title == "cats"


def test_a_file_that_was_renamed_and_edited_embeds_what_was_edited(
    ingestor: Ingestor, embedder: HashingEmbedder, store: CollectionStore, folder: Path
) -> None:
    applied(ingestor, folder)
    (folder / "guide.md").unlink()
    (folder / "manual.md").write_text(sections(moths="Moths like lamps. " * 40))
    embedder.batch_sizes.clear()
    assert counted(applied(ingestor, folder)) == {
        "docs/manual.md": ("added", 1, 4),
        "docs/guide.md": ("removed", 0, 0),
    }
    assert embedder.num_encoded == 1
    assert "docs/guide.md" not in found(store, embedder, "bees")


def test_a_copy_embeds_nothing(ingestor: Ingestor, embedder: HashingEmbedder, folder: Path) -> None:
    applied(ingestor, folder)
    (folder / "copy.md").write_text((folder / "guide.md").read_text())
    embedder.batch_sizes.clear()
    assert counted(applied(ingestor, folder)) == {"docs/copy.md": ("added", 0, 5)}
    report = ingestor.ingest_bytes("upload.md", (folder / "guide.md").read_bytes(), "docs")
    assert (report.num_embedded, report.num_reused) == (0, 5)
    assert embedder.num_encoded == 0


def test_a_title_that_is_in_the_text_embeds_what_it_stands_over(
    ingestor: Ingestor, embedder: HashingEmbedder, store: CollectionStore, folder: Path
) -> None:
    applied(ingestor, folder)
    text = (folder / "guide.md").read_text().replace("# The guide", "# The handbook", 1)
    (folder / "guide.md").write_text(text)
    assert counted(applied(ingestor, folder)) == {"docs/guide.md": ("updated", 5, 0)}
    record = store.open("docs").find("docs/guide.md")
    assert record is not None
    assert record.title == "The handbook"


def test_other_metadata_is_stored_and_embeds_nothing(
    ingestor: Ingestor, embedder: HashingEmbedder, store: CollectionStore
) -> None:
    ingestor.ingest_documents([document("x", "The cat sleeps.")], "docs")
    changed = document("x", "The cat sleeps.")
    changed = type(changed)(
        uri="x", title=changed.title, text=changed.text, media_type=changed.media_type,
        source_sha256="0" * 64, metadata={"year": 1999},
    )  # fmt: skip
    (report,) = ingestor.ingest_documents([changed], "docs")
    assert (report.outcome, report.num_embedded) == (Outcome.UPDATED, 0)
    record = store.open("docs").find("x")
    assert record is not None
    assert record.metadata == {"year": 1999}


def test_other_bounds_of_chunks_embed_the_chunks_that_differ(
    store: CollectionStore, embedder: HashingEmbedder, folder: Path
) -> None:
    applied(Ingestor(store, embedder), folder)
    embedder.batch_sizes.clear()
    smaller = Ingestor(store, embedder, max_chunk_tokens=64)
    assert plan_of(smaller, folder).count(Step.REDO) == 3
    reports = applied(smaller, folder)
    assert list(counted(reports)) == ["docs/guide.md"]  # the small ones are cut as before
    assert embedder.num_encoded == reports["docs/guide.md"].num_embedded > 5
    embedder.batch_sizes.clear()
    assert plan_of(smaller, folder).count(Step.KEEP) == 3
    assert counted(applied(smaller, folder)) == {}
    assert embedder.num_encoded == 0


def test_a_damaged_vector_is_embedded_again(
    ingestor: Ingestor,
    embedder: HashingEmbedder,
    store: CollectionStore,
    database: Engine,
    folder: Path,
) -> None:
    applied(ingestor, folder)
    with writing(database) as connection:
        first = min(c.id for c in store.maintenance("docs").scan() if c.uri == "docs/guide.md")
        connection.execute(
            update(tables.vectors)
            .where(tables.vectors.c.chunk_id == first + 1)
            .values(vector=b"\0" * 4 * embedder.dim)
        )
    embedder.batch_sizes.clear()
    (folder / "guide.md").rename(folder / "other.md")
    assert counted(applied(ingestor, folder)) == {"docs/other.md": ("renamed", 1, 4)}
    assert embedder.num_encoded == 1
    problems = store.maintenance("docs").verify().problems
    assert [problem.what[:17] for problem in problems] == ["the deleted chunk"]  # in the history


def test_token_vectors_are_taken_over_with_the_vectors(
    store: CollectionStore, embedder: HashingEmbedder, ingestor: Ingestor, folder: Path
) -> None:
    store.create(
        "docs",
        embedder=embedder.name,
        fingerprint=embedder.fingerprint,
        dim=embedder.dim,
        token_vectors=8,
    )
    applied(ingestor, folder)
    (folder / "guide.md").write_text(sections(ants="Ants keep aphids. " * 40))
    embedder.batch_sizes.clear()
    assert counted(applied(ingestor, folder)) == {"docs/guide.md": ("updated", 1, 4)}
    assert embedder.num_encoded == 1
    assert store.maintenance("docs").verify().problems == ()


def test_another_overlap_embeds_the_chunks_that_differ(
    store: CollectionStore, embedder: HashingEmbedder, folder: Path
) -> None:
    (folder / "guide.md").write_text(
        "# G\n\n" + "".join(f"Bee {i} is at home. " for i in range(99))
    )
    applied(Ingestor(store, embedder), folder)
    embedder.batch_sizes.clear()
    overlapping = Ingestor(store, embedder, chunk_overlap=24)
    assert plan_of(overlapping, folder).count(Step.REDO) == 3
    reports = applied(overlapping, folder)
    assert list(counted(reports)) == ["docs/guide.md"]  # the others have one chunk
    assert reports["docs/guide.md"].num_reused == 1  # nothing is before the first
    assert embedder.num_encoded == reports["docs/guide.md"].num_embedded > 0
    assert counted(applied(overlapping, folder)) == {}


def test_an_overlap_of_half_of_what_an_embedder_reads_is_refused(store: CollectionStore) -> None:
    with pytest.raises(ValueError, match="chunk_overlap must be at least 0 and less than half"):
        Ingestor(store, HashingEmbedder(), max_chunk_tokens=64, chunk_overlap=32)


def test_recipes_are_compared_as_far_as_they_are_known() -> None:
    plain, wide = Recipe(max_tokens=256, overlap=0), Recipe(max_tokens=256, overlap=32)
    assert str(plain) == str(Recipe(max_tokens=256))  # as it was written before there was overlap
    assert plain.is_that_of(str(plain))
    assert not plain.is_that_of(str(wide))
    assert not wide.is_that_of(str(plain))
    assert Recipe().is_that_of(str(wide))
    assert Recipe(overlap=32).is_that_of(str(wide))
    assert not Recipe(overlap=0).is_that_of(str(wide))
    assert not Recipe().is_that_of("")


def test_copies_in_one_run_are_embedded_once(
    ingestor: Ingestor, embedder: HashingEmbedder, store: CollectionStore, folder: Path
) -> None:
    for name in ("copy.md", "zcopy.md"):
        (folder / name).write_text((folder / "guide.md").read_text())
    assert plan_of(ingestor, folder).num_chunks < 8
    reports = applied(ingestor, folder)
    assert counted(reports) == {
        "docs/a.txt": ("added", 1, 0),
        "docs/copy.md": ("added", 5, 0),
        "docs/guide.md": ("added", 0, 5),
        "docs/sub/b.txt": ("added", 1, 0),
        "docs/zcopy.md": ("added", 0, 5),
    }
    assert embedder.num_encoded == 7
    assert reports["docs/zcopy.md"].near_duplicate_of == "docs/copy.md"
    assert reports["docs/zcopy.md"].is_same_text
    copies = {"docs/copy.md", "docs/guide.md", "docs/zcopy.md"}
    assert found(store, embedder, "hornets") >= copies


def test_copies_of_what_cannot_be_read_all_fail(ingestor: Ingestor, folder: Path) -> None:
    for name in ("x.pdf", "y.pdf"):
        (folder / name).write_bytes(b"%PDF-1.4 nothing")
    reports = applied(ingestor, folder)
    assert {reports[f"docs/{n}.pdf"].outcome for n in "xy"} == {Outcome.FAILED}
    assert len(reports) == 5
    plan = plan_of(ingestor, folder)
    assert (plan.count(Step.ADD), len(plan.failed_before), plan.num_chunks) == (0, 2, 0)
