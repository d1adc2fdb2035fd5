"""Token buckets: how often each caller may ask for something. Does not know what is asked."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from api.error_table import RequestError


class TokenBuckets:
    """A bucket of `burst` tokens per caller that fills by `per_minute`; each request takes one.

    Safe to share between threads. Full buckets are as good as none and are forgotten first.
    """

    def __init__(
        self,
        *,
        burst: int,
        per_minute: float,
        clock: Callable[[], float] = time.monotonic,
        max_callers: int = 10_000,
    ) -> None:
        if burst < 1 or per_minute <= 0 or max_callers < 1:
            raise ValueError(
                "burst and max_callers must be >= 1 and per_minute > 0, got"
                f" {burst}, {max_callers} and {per_minute}"
            )
        self._burst = burst
        self._per_second = per_minute / 60
        self._clock = clock
        self._max_callers = max_callers
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def take(self, caller: str) -> None:
        """Take a token.

        Raises:
            RequestError: 429, the bucket is empty; its headers say when it is not.
        """
        with self._lock:
            now = self._clock()
            tokens, since = self._left.pop(caller, (float(self._burst), now))
            tokens = min(self._burst, tokens + (now - since) * self._per_second)
            is_enough = tokens >= 1
            self._left[caller] = (tokens - 1 if is_enough else tokens, now)
            if len(self._left) > self._max_callers:
                self._left.popitem(last=False)
        if not is_enough:
            raise self._refusal((1 - tokens) / self._per_second)

    def _refusal(self, wait_s: float) -> RequestError:
        return RequestError(
            429,
            f"that was asked {self._burst} times in a row, and may be asked"
            f" {self._per_second * 60:g} times a minute; try again in {math.ceil(wait_s)} s",
            type_="rate_limit_error",
            code="rate_limited",
            headers={
                "retry-after": str(math.ceil(wait_s)),
                "retry-after-ms": str(math.ceil(wait_s * 1000)),
            },
        )
