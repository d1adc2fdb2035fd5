import threading
import time

import pytest

from api.foreground import Foreground


def test_waiting_ends_when_the_last_chat_does() -> None:
    foreground = Foreground()
    waited = threading.Event()

    def work() -> None:
        foreground.wait_idle()
        waited.set()

    with foreground.busy():
        with foreground.busy():
            threading.Thread(target=work).start()
            assert not waited.wait(0.1)
        assert not waited.wait(0.1)
    assert waited.wait(2)


def test_a_cancelled_worker_waits_no_longer() -> None:
    foreground = Foreground()
    cancel = threading.Event()
    with foreground.busy():
        threading.Timer(0.05, cancel.set).start()
        began = time.monotonic()
        foreground.wait_idle(cancel)
        assert time.monotonic() - began < 2


def test_a_stop_cancels_what_is_under_way_and_what_begins_later() -> None:
    foreground = Foreground()
    first, second, third = threading.Event(), threading.Event(), threading.Event()
    with foreground.busy(first), foreground.tracked(second):
        foreground.stop()
        assert first.is_set()
        assert second.is_set()
        foreground.wait_idle()
    assert foreground.is_stopping
    with foreground.busy(third):
        assert third.is_set()
    assert foreground.num_busy == 0


def test_tracked_work_holds_nothing_up() -> None:
    foreground = Foreground()
    with foreground.tracked(threading.Event()):
        foreground.wait_idle()
        assert foreground.num_busy == 0


def test_a_failed_chat_no_longer_counts() -> None:
    foreground = Foreground()
    with pytest.raises(RuntimeError), foreground.busy():
        raise RuntimeError
    assert foreground.num_busy == 0
