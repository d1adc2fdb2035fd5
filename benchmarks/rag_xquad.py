"""XQuAD's English half: whether to answer, and what is answered.

Each paragraph is a document of one collection. The gate judges each question twice: with all
paragraphs, and with its own held out; its AUROC tells both cases apart. The shipped gate is as it
is; the fitted one is fitted on the questions of the other articles, in folds of articles, as is its
calibration error (ten bins). Of a fixed sample of the questions both modes answer with the default
models: F1 and exact match against the gold span, whether the answer holds it, and the citations:
ids that are none of the evidence's, and whether the cited bytes of the stored document, read anew,
bear the sentence out beside which their mark stands ("precise"). An abstention scores 0.

An extractive answer is whole sentences, so its F1 has a low ceiling: "gold sentence" is the F1 of
the sentence that holds the gold span.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from api.application import Application
from api.bootstrap import build
from api.settings import load_settings
from benchmarks.rag_options import Options
from benchmarks.report import REPOSITORY, Figure, share
from dialog.reply import Reply, TurnRequest
from llm.chat import Message
from llm.sampling_params import SamplingParams
from rag.answer_sentences import answer_sentences
from rag.claim_check import check_claim
from rag.document import Document, sha256_hex
from rag.gate_fitting import left_out
from rag.gate_model import GateExample
from rag.grounding import AnswerMode, verdict_on
from rag.held_out import HeldOut
from rag.metrics import answer_f1, auroc, auroc_interval, calibration_error, exact_match
from rag.pipeline import RetrievalPipeline

COLLECTION = "xquad"
NUM_ANSWERED = 100
NUM_QUICK = (60, 8)
FOLDS = 6
MODES: tuple[AnswerMode, ...] = ("extractive", "generative")
TARGET_AUROC = 0.80
TARGET_PRECISION = 0.95
_MARK = re.compile(r"\s*\[(\d+)\]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, the uri of its paragraph, its article, the gold spans, and their sentence."""

    text: str
    uri: str
    article: str
    answers: tuple[str, ...]
    gold_sentence: str


def xquad(options: Options) -> list[Figure]:
    """Return the figures of the gate and of both modes."""
    documents, questions = read_xquad(options.data)
    draws = np.random.default_rng(options.seed)
    questions = [questions[i] for i in draws.permutation(len(questions))]
    num_judged, num_answered = NUM_QUICK if options.is_quick else (len(questions), NUM_ANSWERED)
    with tempfile.TemporaryDirectory(prefix="causerie-benchmark-") as state:
        service = build(load_settings(state=Path(state)))
        try:
            service.ingestor.ingest_documents(documents, COLLECTION, total=len(documents))
            figures = _gate_figures(service, questions[:num_judged], options)
            figures += _answer_figures(service, questions[:num_answered], options)
        finally:
            service.close()
    return figures


def read_xquad(data: Path) -> tuple[list[Document], list[Question]]:
    """Return the paragraphs as documents, and the questions."""
    text = (data / "xquad" / "xquad.en.first24.json").read_text(encoding="utf-8")
    documents, questions = [], []
    for article in json.loads(text)["data"]:
        for number, paragraph in enumerate(article["paragraphs"]):
            uri, words = f"{article['title']}/{number}", paragraph["context"]
            documents.append(
                Document(
                    uri=uri,
                    title=article["title"].replace("_", " "),
                    text=words,
                    media_type="text/plain",
                    source_sha256=sha256_hex(words.encode()),
                )
            )
            sentences = _SENTENCE.split(words)
            for one in paragraph["qas"]:
                answers = tuple(answer["text"] for answer in one["answers"])
                questions.append(
                    Question(
                        text=one["question"],
                        uri=uri,
                        article=article["title"],
                        answers=answers,
                        gold_sentence=next((s for s in sentences if answers[0] in s), words),
                    )
                )
    return documents, questions


def _gate_figures(
    service: Application, questions: Sequence[Question], options: Options
) -> list[Figure]:
    whole = RetrievalPipeline(service.store.open, service.embedder)
    examples, shipped, articles = [], [], []
    right = 0
    for question in questions:
        without = RetrievalPipeline(_without(service, question.uri), service.embedder)
        for pipeline, is_answerable in ((whole, True), (without, False)):
            evidence = pipeline.find(question.text, COLLECTION)
            gate = evidence.gate
            examples.append(GateExample(features=gate.features, is_answerable=is_answerable))
            shipped.append(gate.p_answerable)
            articles.append(question.article)
            if is_answerable:
                right += bool(evidence.passages) and evidence.passages[0].uri == question.uri
    truth = [one.is_answerable for one in examples]
    fitted, is_told = left_out(examples, articles, num_folds=FOLDS)
    figures = [share("XQuAD, paragraph found first", right, len(questions))]
    for name, scores in (("shipped", shipped), ("fitted", fitted)):
        area = auroc(scores, truth)
        bounds = auroc_interval(scores, truth, seed=options.seed)
        error = calibration_error(scores, truth)
        print(f"gate, {name}: AUROC {area:.3f} [{bounds.low:.3f}, {bounds.high:.3f}],"
              f" calibration error {error:.3f}")  # fmt: skip
        is_target = name == "fitted" and not options.is_quick
        figures += [
            Figure(
                name=f"XQuAD, abstention AUROC, {name} gate",
                value=area,
                unit=f"of {len(truth)} judgements",
                spread=(bounds.low, bounds.high),
                target=TARGET_AUROC if is_target else None,
            ),
            Figure(
                name=f"XQuAD, calibration error, {name} gate",
                value=error,
                unit=f"of {len(truth)} judgements",
                higher_is_better=False,
            ),
        ]
    for label in (True, False):
        of_it = [
            told == label for told, is_yes in zip(is_told, truth, strict=True) if is_yes == label
        ]
        name = "answered where answerable" if label else "abstained where held out"
        print(f"fitted gate, {name}: {sum(of_it)} of {len(of_it)}")
        figures.append(share(f"XQuAD, fitted gate, {name}", sum(of_it), len(of_it)))
    return figures


def _without(service: Application, uri: str) -> Any:
    return lambda name: HeldOut(service.store.open(name), [uri])


def _answer_figures(
    service: Application, questions: Sequence[Question], options: Options
) -> list[Figure]:
    figures = []
    gold = float(np.mean([answer_f1(q.gold_sentence, q.answers) for q in questions]))
    print(f"\ngold sentence: F1 {gold:.3f}\n")
    print("| mode | F1 | exact | holds the answer | abstained | invalid ids | precise |")
    print("|---|---|---|---|---|---|---|")
    for mode in MODES:
        rows = [_kept(service, question, mode) for question in questions]
        said = [_MARK.sub("", row["text"]) if not row["abstained"] else "" for row in rows]
        f1 = [answer_f1(text, q.answers) for text, q in zip(said, questions, strict=True)]
        exact = [exact_match(text, q.answers) for text, q in zip(said, questions, strict=True)]
        holds = [
            any(answer.lower() in text.lower() for answer in q.answers)
            for text, q in zip(said, questions, strict=True)
        ]
        marks = sum(row["marks"] for row in rows)
        invalid = sum(row["invalid"] for row in rows)
        precise = sum(row["precise"] for row in rows)
        abstained = sum(row["abstained"] for row in rows)
        print(
            f"| {mode} | {np.mean(f1):.3f} | {np.mean(exact):.3f} | {sum(holds)} of {len(rows)} |"
            f" {abstained} | {invalid} of {marks} | {precise} of {marks} |"
        )
        is_target = mode == "extractive" and not options.is_quick
        figures += [
            Figure(
                name=f"XQuAD, {mode}: answer F1",
                value=float(np.mean(f1)),
                unit=f"mean of {len(rows)}",
                baseline=gold if mode == "extractive" else None,
            ),
            Figure(
                name=f"XQuAD, {mode}: exact match",
                value=float(np.mean(exact)),
                unit=f"mean of {len(rows)}",
            ),
            share(f"XQuAD, {mode}: holds the answer", sum(holds), len(rows)),
            Figure(
                name=f"XQuAD, {mode}: invalid citation ids",
                value=float(invalid),
                unit=f"of {marks} marks",
                target=0.0,
                higher_is_better=False,
            ),
            share(
                f"XQuAD, {mode}: citation precision",
                precise,
                marks,
                target=TARGET_PRECISION if is_target else None,
            ),
        ]
    return figures


def _kept(service: Application, question: Question, mode: AnswerMode) -> Mapping[str, Any]:
    """Return what is counted of an answer, from the cache where code and models are the same."""
    settings = service.settings
    key = [settings.chat_model, settings.embedding_model, mode, question.text, _code()]
    digest = hashlib.blake2b(json.dumps(key).encode(), digest_size=12).hexdigest()
    path = settings.home / "benchmark-answers" / f"{digest}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_answered(service, question, mode)), encoding="utf-8")
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _answered(service: Application, question: Question, mode: AnswerMode) -> dict[str, Any]:
    request = TurnRequest(
        messages=(Message(role="user", content=question.text),),
        params=SamplingParams(seed=0),
        collection=COLLECTION,
        answer=mode,
    )
    (reply,) = [part for part in service.agent.stream(request) if isinstance(part, Reply)]
    checks = list(_checks(service, reply))
    return {
        "text": reply.text,
        "abstained": reply.abstained,
        "marks": len(checks),
        "invalid": sum(check is None for check in checks),
        "precise": sum(check is True for check in checks),
    }


def _checks(service: Application, reply: Reply) -> Iterator[bool | None]:
    """Yield for each mark whether the cited bytes bear its sentence out; None: no such id."""
    if reply.abstained:
        return
    citations = {citation.id: citation for citation in reply.citations}
    for sentence in answer_sentences(reply.text):
        for mark in sentence.marks:
            citation = citations.get(mark)
            if citation is None:
                yield None
                continue
            record, text = service.store.open(citation.collection).get(citation.document_id)
            bytes_ = text.encode()[citation.start : citation.end]
            is_there = record.text_sha256 == citation.text_sha256
            check = check_claim(sentence.text, bytes_.decode(errors="replace"))
            yield is_there and verdict_on(check) == "supported"


def _code() -> str:
    """Return a hash of what makes answers."""
    files = sorted([*(REPOSITORY / "rag").glob("*.py"), *(REPOSITORY / "dialog").glob("*.py")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
