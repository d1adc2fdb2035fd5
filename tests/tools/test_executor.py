import threading
import time

import pytest
from sqlalchemy import Engine

from llm.chat import ToolCall
from tests.tools.calling import ANN, call, executor, read_tool, said
from tools.audit import AuditLog, entry_of
from tools.base import tool
from tools.call_context import CallContext, Caller
from tools.errors import (
    ConflictError,
    DeniedError,
    FatalError,
    InvalidArgumentError,
    NotFoundError,
    RetryableError,
)
from tools.executor import idempotency_key
from tools.mandate import Mandate
from tools.result import Remedy, ResultKind


def add(a: int, b: int = 1) -> int:
    return a + b


# --- validation ------------------------------------------------------------------------------


def test_a_call_gives_its_result_as_json(audit: AuditLog) -> None:
    result = executor(audit, read_tool(add)).run(call("add", a=2), Mandate(caller=ANN))
    assert (result.call_id, result.content, result.is_error) == ("call_1", "3", False)
    assert result.kind is ResultKind.OK
    assert result.seconds >= 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ('{"a":"2"}', "integer"),
        ('{"a":true}', "integer"),
        ("{}", "a is missing"),
        ('{"a":2,"c":1}', "c is not an argument"),
        ('{"a":2,"a":3}', "twice"),
        ('{"a":NaN}', "NaN"),
        ('{"a":1e999}', "too large"),
        ("[2]", "object"),
        ('{"a":2', "not JSON"),
        ('{"a":' + "[" * 5_000 + "]" * 5_000 + "}", "deeper"),
        ('{"a":' + "9" * 10_000 + "}", "not JSON"),
        ('{"a":"' + "x" * 300_000 + '"}', "characters"),
    ],
)
def test_bad_arguments_become_a_result_that_says_what_is_wrong(
    audit: AuditLog, arguments: str, word: str
) -> None:
    bad = ToolCall(id="call_1", name="add", arguments=arguments)
    result = executor(audit, read_tool(add)).run(bad, Mandate(caller=ANN))
    assert (result.kind, result.kind.remedy) == (ResultKind.INVALID, Remedy.MODEL_MAY_RETRY)
    assert word in result.content
    assert len(result.content) < 700


def test_an_unknown_name_is_told_the_nearest_one(audit: AuditLog) -> None:
    result = executor(audit, read_tool(add)).run(call("ad", a=1), Mandate())
    assert result.kind is ResultKind.UNKNOWN_TOOL
    assert "did you mean 'add'" in result.content


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (InvalidArgumentError("a", "is odd"), ResultKind.INVALID, Remedy.MODEL_MAY_RETRY),
        (NotFoundError("no such"), ResultKind.NOT_FOUND, Remedy.MODEL_MAY_RETRY),
        (ConflictError("taken"), ResultKind.CONFLICT, Remedy.MODEL_MAY_RETRY),
        (RetryableError("later"), ResultKind.UNAVAILABLE, Remedy.MODEL_MAY_NOT_RETRY),
        (DeniedError("no"), ResultKind.DENIED, Remedy.MODEL_MAY_NOT_RETRY),
        (FatalError("gone"), ResultKind.FAILED, Remedy.MODEL_MAY_NOT_RETRY),
        (KeyError("secret"), ResultKind.BUG, Remedy.OUR_BUG),
        (SystemExit(3), ResultKind.BUG, Remedy.OUR_BUG),
        (RecursionError("deep"), ResultKind.BUG, Remedy.OUR_BUG),
    ],
)
def test_what_a_tool_raises_becomes_a_result_of_its_kind(
    audit: AuditLog, error: BaseException, kind: ResultKind, remedy: Remedy
) -> None:
    def fail() -> None:
        raise error

    result = executor(audit, read_tool(fail)).run(call("fail"), Mandate())
    assert (result.kind, result.kind.remedy, result.is_error) == (kind, remedy, True)
    assert "secret" not in result.content


# --- containment -----------------------------------------------------------------------------


def test_a_hanging_tool_is_left_behind_and_counted(audit: AuditLog) -> None:
    release = threading.Event()

    def hang() -> str:
        release.wait(30)
        return "late"

    runner = executor(audit, read_tool(hang, timeout_s=0.1), max_left=2)
    begun = time.monotonic()
    first, second = (runner.run(call("hang"), Mandate()) for _ in range(2))
    assert time.monotonic() - begun < 5
    assert first.kind is second.kind is ResultKind.TIMEOUT
    assert not first.is_in_doubt
    assert runner.num_left == 2
    third = runner.run(call("hang"), Mandate())
    assert third.kind is ResultKind.UNAVAILABLE
    assert "hang" in third.content
    release.set()
    until = time.monotonic() + 10
    while runner.num_left and time.monotonic() < until:
        time.sleep(0.01)
    assert runner.num_left == 0


def test_a_hanging_deed_is_in_doubt_until_its_late_end_is_written_down(audit: AuditLog) -> None:
    release = threading.Event()
    done = []

    def pay(amount: int) -> str:
        release.wait(30)
        done.append(amount)
        return "paid"

    paying = tool(timeout=0.1, idempotent_by=(), confirm="ungrounded")(pay)
    runner, mandate = executor(audit, paying), said("pay 5")
    first = runner.run(call("pay", amount=5), mandate)
    assert (first.kind, first.is_in_doubt) == (ResultKind.TIMEOUT, True)
    assert "not known" in first.content
    again = runner.run(call("pay", amount=5), mandate)
    assert (again.kind, again.content) == (
        ResultKind.UNAVAILABLE,
        "the same call is still under way",
    )
    release.set()
    until = time.monotonic() + 10
    while again.is_error and time.monotonic() < until:
        time.sleep(0.02)
        again = runner.run(call("pay", amount=5), mandate)
    assert (again.content, again.is_replayed, done) == ("paid", True, [5])


def test_a_call_can_be_given_up_while_it_runs_and_is_told(audit: AuditLog) -> None:
    cancel, told, hold = (threading.Event() for _ in range(3))

    def wait(context: CallContext) -> None:
        cancel.set()
        while not context.is_given_up:
            time.sleep(0.005)
        told.set()
        hold.wait(5)

    result = executor(audit, read_tool(wait)).run(call("wait"), Mandate(), cancel=cancel)
    assert result.kind is ResultKind.CANCELLED
    assert told.wait(5)
    hold.set()


def test_a_call_given_up_before_it_begins_is_not_made(audit: AuditLog) -> None:
    cancel = threading.Event()
    cancel.set()
    made = []
    result = executor(audit, read_tool(lambda: made.append(1), name="note")).run(
        call("note"), Mandate(), cancel=cancel
    )
    assert (result.kind, result.is_in_doubt, made) == (ResultKind.CANCELLED, False, [])


def cyclic() -> list[object]:
    found: list[object] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("x" * 100_000_000, ResultKind.TOO_LARGE),
        ([0] * 1_000_000, ResultKind.TOO_LARGE),
        ({"a": ["y" * 30_000]}, ResultKind.TOO_LARGE),
        ("ü" * 15_000, ResultKind.TOO_LARGE),
        (10**100_000, ResultKind.TOO_LARGE),
        (object(), ResultKind.BUG),
        ({1: 2}, ResultKind.BUG),
        ({"a": {1, 2}}, ResultKind.BUG),
        (b"bytes", ResultKind.BUG),
        (float("nan"), ResultKind.BUG),
        (cyclic(), ResultKind.BUG),
        ((i for i in range(3)), ResultKind.BUG),
    ],
    ids=["100 MB", "list", "inside", "bytes of chars", "integer", *"abcdefg"],
)
def test_results_that_are_too_large_or_no_json_are_contained(
    audit: AuditLog, value: object, kind: ResultKind
) -> None:
    result = executor(audit, read_tool(lambda: value, name="give")).run(call("give"), Mandate())
    assert result.kind is kind
    assert len(result.content) < 600


def test_a_deed_whose_result_cannot_be_shown_counts_as_done(audit: AuditLog) -> None:
    deed = tool(name="deed", confirm="ungrounded")(_shapeless)
    result = executor(audit, deed).run(call("deed"), Mandate(caller=ANN))
    assert not result.is_error
    assert result.content.startswith("done, but")


def test_half_a_character_does_not_break_the_answer(audit: AuditLog) -> None:
    result = executor(audit, read_tool(lambda: "a\ud800b", name="f")).run(call("f"), Mandate())
    assert result.content.encode() == "a\ufffdb".encode()


# --- retries and idempotency -----------------------------------------------------------------


def test_a_retryable_failure_is_tried_again_with_the_same_key(audit: AuditLog) -> None:
    keys = []

    @tool(effect="write", retry=2, idempotent_by=("a",), confirm="ungrounded")
    def deed(a: int, context: CallContext) -> str:
        keys.append(context.idempotency_key)
        if len(keys) < 3:
            raise RetryableError("not yet")
        return "done"

    runner = executor(audit, deed, backoff_s=0.001)
    assert runner.run(call("deed", a=1), said("1")).content == "done"
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(keys[0]) == 64


def test_retries_end_with_the_timeout(audit: AuditLog) -> None:
    tries = []

    def f() -> None:
        tries.append(1)
        raise RetryableError("never")

    runner = executor(audit, read_tool(f, retries=5, timeout_s=0.3), backoff_s=0.2)
    assert runner.run(call("f"), Mandate()).kind is ResultKind.UNAVAILABLE
    assert len(tries) == 2


def test_the_same_deed_is_done_once_and_its_result_repeated(database: Engine) -> None:
    done = []

    @tool(effect="write", idempotent_by=("guest",), confirm="ungrounded")
    def book(guest: str, note: str = "") -> str:
        done.append(guest)
        return f"booked {guest}"

    mandate = said("Book for Bob, window")
    first = executor(AuditLog(database), book).run(call("book", guest="Bob"), mandate)
    repeated = executor(AuditLog(database), book).run(  # as after a restart
        call("book", id="call_2", guest="Bob", note="window"), mandate
    )
    assert (first.is_replayed, repeated.is_replayed) == (False, True)
    assert (repeated.call_id, repeated.content) == ("call_2", "booked Bob")
    assert done == ["Bob"]
    other = Mandate(caller=Caller(user="eve", conversation="c2"), provenance=mandate.provenance)
    executor(AuditLog(database), book).run(call("book", guest="Bob"), other)
    assert done == ["Bob", "Bob"]


def test_a_deed_in_doubt_is_not_done_again_unless_its_key_is_handed_on(database: Engine) -> None:
    done = []

    def pay(amount: int) -> str:
        done.append(amount)
        raise KeyError("the connection broke")

    def pay_by_key(amount: int, context: CallContext) -> str:
        return f"paid {amount} once for {context.idempotency_key[:1]}…"

    declare = tool(name="pay", idempotent_by=(), confirm="ungrounded")
    mandate = said("pay 5")
    first = executor(AuditLog(database), declare(pay)).run(call("pay", amount=5), mandate)
    again = executor(AuditLog(database), declare(pay)).run(call("pay", amount=5), mandate)
    assert (first.kind, first.is_in_doubt) == (ResultKind.BUG, True)
    assert (again.is_error, again.is_in_doubt, again.is_replayed) == (True, True, True)
    assert done == [5]
    keyed = executor(AuditLog(database), declare(pay_by_key))
    assert keyed.run(call("pay", amount=5), mandate).content.startswith("paid 5")


def test_a_deed_whose_end_was_never_written_down_is_in_doubt(audit: AuditLog) -> None:
    done: list[int] = []

    @tool(idempotent_by=(), confirm="ungrounded")
    def deed() -> None:
        done.append(1)

    key = idempotency_key(deed, {}, ANN)
    audit.started(entry_of("1", deed, {}, ANN, key))  # and then the program died
    result = executor(audit, deed).run(call("deed"), said(""))
    assert (result.is_in_doubt, done) == (True, [])


def test_a_call_given_up_between_two_attempts_can_be_made_again(audit: AuditLog) -> None:
    cancel = threading.Event()

    @tool(retry=2, idempotent_by=(), confirm="ungrounded")
    def deed() -> str:
        if not cancel.is_set():
            cancel.set()
            time.sleep(0.001)
            raise RetryableError("not yet")
        return "done"

    runner = executor(audit, deed, backoff_s=0.2)
    first = runner.run(call("deed"), said(""), cancel=cancel)
    assert first.kind is ResultKind.CANCELLED
    assert runner.run(call("deed"), said("")).content == "done" or first.is_in_doubt


def test_the_same_deed_asked_for_many_times_at_once_is_done_once(audit: AuditLog) -> None:
    done: list[int] = []

    @tool(idempotent_by=(), confirm="ungrounded")
    def deed() -> str:
        done.append(1)
        return "done"

    runner, results = executor(audit, deed), []
    threads = [
        threading.Thread(target=lambda: results.append(runner.run(call("deed"), said(""))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert done == [1]
    assert {r.kind for r in results} <= {ResultKind.OK, ResultKind.UNAVAILABLE}
    assert len(results) == 8


def test_without_a_key_a_second_call_is_a_second_deed(audit: AuditLog) -> None:
    done = []

    @tool(effect="write", confirm="ungrounded")
    def note() -> None:
        done.append(1)

    runner = executor(audit, note)
    for _ in range(2):
        runner.run(call("note"), said(""))
    assert done == [1, 1]


# --- many calls ------------------------------------------------------------------------------


def test_reads_run_at_once_and_results_keep_the_order(audit: AuditLog) -> None:
    both = threading.Barrier(2, timeout=5)

    def meet(who: str) -> str:
        both.wait()
        return who

    calls = [call("meet", id="1", who="a"), call("meet", id="2", who="b")]
    results = executor(audit, read_tool(meet)).run_all(calls, Mandate())
    assert [(r.call_id, r.content) for r in results] == [("1", "a"), ("2", "b")]


def test_writes_run_one_after_the_other_and_after_the_reads_before_them(audit: AuditLog) -> None:
    order = []

    def slow() -> None:
        time.sleep(0.05)
        order.append("read")

    @tool(effect="write", confirm="ungrounded")
    def deed(n: int) -> None:
        order.append(f"write {n}")

    calls = [call("slow"), call("slow"), call("deed", n=1), call("deed", n=2), call("slow")]
    executor(audit, read_tool(slow), deed).run_all(calls, said("1 2"))
    assert order == ["read", "read", "write 1", "write 2", "read"]


def _shapeless() -> object:
    return object()
