import pytest
import torch

from llm.kv_cache import KVCache, RecentCaches


def filled(length: int, *, start: int = 0) -> KVCache:
    kv_cache = KVCache(num_layers=2)
    x = torch.arange(start, start + length, dtype=torch.float32).view(1, 1, length, 1)
    for layer in range(2):
        kv_cache.extend(layer, x.expand(1, 3, length, 5), -x.expand(1, 3, length, 5))
    kv_cache.advance(length)
    return kv_cache


def seen(kv_cache: KVCache) -> list[float]:
    new = torch.full((1, 3, 1, 5), 99.0)
    keys, _ = kv_cache.extend(1, new, new)
    return keys[0, 2, :-1, 4].tolist()


def test_what_was_stored_comes_back_also_after_growing() -> None:
    kv_cache = filled(250)
    x = torch.arange(250, 300, dtype=torch.float32).view(1, 1, 50, 1).expand(1, 3, 50, 5)
    keys, values = kv_cache.extend(0, x, -x)
    assert keys[0, 1, :, 3].tolist() == list(range(300))
    assert values[0, 1, :, 3].tolist() == [-i for i in range(300)]
    assert kv_cache.length == 250


def test_a_fork_is_independent_and_as_small_as_it_can_be() -> None:
    kv_cache = filled(100)
    fork = kv_cache.fork(40)
    assert fork.capacity == fork.length == 40
    assert seen(fork) == list(range(40))
    assert seen(kv_cache) == list(range(100))


def test_truncating_beyond_what_is_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"length must be in \[0, 10\]"):
        filled(10).truncate(11)
    with pytest.raises(ValueError, match=r"length must be in \[0, 10\]"):
        filled(10).fork(11)


def test_a_continued_sequence_takes_its_cache_over() -> None:
    recent = RecentCaches(max_tokens=1000)
    recent.give(range(50), filled(50))
    taken = recent.take([*range(50), 7, 8, 9])
    assert taken is not None
    assert taken.length == 50
    assert recent.take([*range(50), 7]) is None


def test_a_sequence_that_only_begins_alike_gets_a_copy() -> None:
    recent = RecentCaches(max_tokens=1000)
    recent.give(range(100), filled(100))
    copy = recent.take([*range(20), 500, 501])
    assert copy is not None
    assert copy.length == 20
    again = recent.take([*range(100), 101])
    assert again is not None
    assert again.length == 100


def test_the_last_token_of_a_prompt_is_never_taken() -> None:
    recent = RecentCaches(max_tokens=1000)
    recent.give(range(50), filled(50))
    taken = recent.take(range(50))
    assert taken is not None
    assert taken.length == 49


def test_memory_is_counted_and_the_oldest_leaves_first() -> None:
    recent = RecentCaches(max_tokens=120)
    for start in (0, 1000, 2000):
        recent.give(range(start, start + 50), filled(50, start=start))
    assert recent.take([*range(50), 1]) is None
    assert recent.take([*range(1000, 1050), 1]) is not None
    assert recent.take([*range(2000, 2050), 1]) is not None
    recent.give(range(121), filled(121))
    assert recent.take([*range(121), 1]) is None
