"""The first signal is a wish, the second is not."""

import os
import signal
import threading

import pytest

from api.cli.stop_signals import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_sets_the_event_and_a_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    told: list[int] = []
    with stop_on_signals(lambda: told.append(1)) as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        assert told == [1]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_outside_of_the_main_thread_no_signal_is_taken() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def use() -> None:
        with stop_on_signals(lambda: None):
            assert signal.getsignal(signal.SIGTERM) == before

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
