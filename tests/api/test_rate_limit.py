"""Rations of questions."""

import pytest

from api.error_table import RequestError
from api.rate_limit import TokenBuckets


def test_a_bucket_fills_again_and_is_one_s_own() -> None:
    now = [0.0]
    buckets = TokenBuckets(burst=2, per_minute=30, clock=lambda: now[0])
    buckets.take("a")
    buckets.take("a")
    buckets.take("b")
    with pytest.raises(RequestError) as caught:
        buckets.take("a")
    assert caught.value.headers["retry-after-ms"] == "2000"
    now[0] = 1.9
    with pytest.raises(RequestError):
        buckets.take("a")
    now[0] = 2.0
    buckets.take("a")
    now[0] = 1000.0
    buckets.take("a")
    buckets.take("a")
    with pytest.raises(RequestError):
        buckets.take("a")
