"""More requests than seats, and clients that leave: over a real engine and real sockets."""

import json
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.admission import Admission
from api.testing import wait_until
from llm.errors import EngineBusyError
from tests.api.conftest import LiveServer, serving
from tests.api.test_completions import index_one
from tests.api.test_disconnect import connect, request_bytes
from tests.api.tiny_service import ENDLESS, HELLO, becomes_idle, tiny_service

CHAT = "/v1/chat/completions"
GROUNDED = {
    "messages": [{"role": "user", "content": "What names does a closure keep of the scope?"}],
    "causerie": {"collection": "docs"},
}


def post(live: LiveServer, **more: Any) -> httpx.Response:
    body = {**HELLO, **ENDLESS, "max_tokens": 40, **more}
    return httpx.post(f"{live.address}{CHAT}", json=body, trust_env=False, timeout=30)


def num_under_way(live: LiveServer) -> int:
    assert live.application.engine is not None
    state = live.application.engine.state()
    return state.running + state.waiting


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("more", [{}, GROUNDED])
def test_one_more_than_may_wait_is_told_to_come_again(
    tmp_path: Path, stream: bool, more: dict[str, Any]
) -> None:
    """Also a stream that would begin with its evidence, before it asks the engine."""
    with (
        tiny_service(
            tmp_path, delay_s=0.03, context_size=512, max_concurrent=1, max_waiting=1
        ) as built,
        serving(built) as live,
        ThreadPoolExecutor(2) as pool,
    ):
        index_one(built)
        answers = []
        for i in range(2):
            answers.append(pool.submit(post, live))
            assert wait_until(lambda i=i: num_under_way(live) == i + 1)  # type: ignore[misc]
        refused = post(live, stream=stream, **more)
        assert refused.status_code == 503, refused.text
        assert refused.json()["error"]["code"] == "engine_busy"
        assert refused.headers["retry-after"] == "1"
        assert [answer.result().status_code for answer in answers] == [200, 200]
        assert becomes_idle(built)
        assert post(live, stream=stream, **more).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_turn_whose_client_leaves_in_the_queue_is_given_up_at_once(
    tmp_path: Path, stream: bool
) -> None:
    """A stream once noticed only when its turn had come, or after 15 seconds."""
    with (
        tiny_service(tmp_path, delay_s=0.03, max_concurrent=1, max_waiting=4) as built,
        serving(built) as live,
        ThreadPoolExecutor(1) as pool,
    ):
        assert built.engine is not None
        first = pool.submit(post, live)
        assert wait_until(lambda: num_under_way(live) == 1)
        body = json.dumps({**HELLO, **ENDLESS, "stream": stream}).encode()
        with connect(live) as client:
            client.sendall(request_bytes(CHAT, body))
            assert wait_until(lambda: num_under_way(live) == 2)
        assert wait_until(lambda: num_under_way(live) == 1, timeout_s=2)
        assert not first.done()
        assert built.engine.statistics.cancelled["queue"] == 1
        assert first.result().status_code == 200
        assert becomes_idle(built)


def test_a_deadline_reaches_a_turn_that_still_waits(tmp_path: Path) -> None:
    with (
        tiny_service(tmp_path, delay_s=0.03, max_concurrent=1) as built,
        serving(built) as live,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(post, live)
        assert wait_until(lambda: num_under_way(live) == 1)
        began = time.monotonic()
        late = post(live, causerie={"timeout_s": 0.3}).json()
        assert time.monotonic() - began < 1.5
        assert not first.done()
        (choice,) = late["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")
        assert choice["message"]["causerie"]["finish_reason"] == "deadline"
        assert late["usage"]["completion_tokens"] == 0


def test_a_turn_behind_another_of_its_conversation_is_told_that_it_is_busy(tmp_path: Path) -> None:
    with (
        tiny_service(tmp_path, delay_s=0.03) as built,
        serving(built) as live,
        ThreadPoolExecutor(1) as pool,
    ):
        own = {"conversation": built.sessions.create(owner="", collection=None).id}
        first = pool.submit(post, live, causerie=own)
        assert wait_until(lambda: num_under_way(live) == 1)
        late = post(live, causerie={**own, "timeout_s": 0.3})
        assert late.status_code == 503
        assert late.json()["error"]["code"] == "conversation_busy"
        assert late.headers["retry-after"] == "1"
        assert first.result().status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_behind_another_turn_of_the_conversation_is_no_fault(
    tmp_path: Path, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It once left a traceback in the log."""
    with (
        tiny_service(tmp_path, delay_s=0.03) as built,
        serving(built) as live,
        ThreadPoolExecutor(1) as pool,
    ):
        own = {"conversation": built.sessions.create(owner="", collection=None).id}
        first = pool.submit(post, live, causerie=own)
        assert wait_until(lambda: num_under_way(live) == 1)
        body = json.dumps({**HELLO, "stream": stream, "causerie": own}).encode()
        with connect(live) as client:
            client.sendall(request_bytes(CHAT, body))
            assert wait_until(lambda: built.foreground.num_busy == 2)
        assert wait_until(lambda: built.foreground.num_busy == 1, timeout_s=2)
        assert not first.done()
        assert first.result().status_code == 200
        assert len(built.sessions.events(own["conversation"], "")) == 3
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_clients_that_leave_at_any_moment_leave_nothing_behind(tmp_path: Path) -> None:
    seed = random.Random(7)
    with (
        tiny_service(tmp_path, delay_s=0.005, max_concurrent=8) as built,
        serving(built) as live,
        ThreadPoolExecutor(24) as pool,
    ):

        def ask(patience_s: float, is_stream: bool) -> str:
            body = {**HELLO, **ENDLESS, "max_tokens": 30, "stream": is_stream}
            try:
                with httpx.stream(
                    "POST",
                    f"{live.address}{CHAT}",
                    json=body,
                    trust_env=False,
                    timeout=httpx.Timeout(30, read=patience_s),
                ) as answer:
                    end = time.monotonic() + patience_s
                    for line in answer.iter_lines():
                        if "[DONE]" in line:
                            return "answered"
                        if time.monotonic() > end:
                            return "left"
                    return "answered" if not is_stream else "cut"
            except httpx.ReadTimeout:
                return "left"

        asked = [(seed.uniform(0.001, 0.4), seed.random() < 0.5) for _ in range(60)]
        asked += [(20.0, i % 2 == 0) for i in range(10)]
        ends = Counter(pool.map(lambda pair: ask(*pair), asked))
        assert ends["cut"] == 0
        assert ends["answered"] >= 10
        assert ends["left"] > 20
        assert becomes_idle(built)
        assert wait_until(lambda: built.foreground.num_busy == 0)
        assert built.engine is not None
        statistics = built.engine.statistics
        assert sum(statistics.ends.values()) <= len(asked)
        assert sum(statistics.cancelled.values()) == statistics.ends["cancelled"]
        assert post(live).status_code == 200


def test_seats_are_taken_and_given_back() -> None:
    admission = Admission(2)
    admission.enter()
    admission.enter()
    with pytest.raises(EngineBusyError, match="2 answers are under way"):
        admission.enter()
    admission.leave()
    admission.enter()
    assert admission.num_turns == 2
    with pytest.raises(ValueError, match="limit must be >= 1, got 0"):
        Admission(0)


def test_seats_are_counted_rightly_from_many_threads() -> None:
    admission = Admission(5)
    most = []

    def come_and_go() -> None:
        for _ in range(200):
            try:
                admission.enter()
            except EngineBusyError:
                continue
            most.append(admission.num_turns)
            admission.leave()

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert admission.num_turns == 0
    assert max(most) <= 5
