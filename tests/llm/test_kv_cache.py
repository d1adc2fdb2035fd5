import pytest
import torch

from llm.kv_cache import KVCache


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
