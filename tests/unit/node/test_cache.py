"""The bounded cache in two generations."""

from __future__ import annotations

import random

import pytest

from node.cache import GenerationCache


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_the_cache_stays_within_its_limit_and_keeps_what_is_used(limit: int) -> None:
    cache: GenerationCache[int, int] = GenerationCache(limit)
    choose = random.Random(limit)
    for step in range(2_000):
        number = choose.randrange(60)
        if choose.random() < 0.5:
            cache.put(number, step)
            if limit > 2:
                assert cache.get(number) == step
        elif choose.random() < 0.1:
            cache.discard(number)
            assert cache.get(number) is None
        else:
            cache.get(number)
        assert len(cache) <= max(limit, 2)
    if limit == 100:
        cache.put(1_000, 1)
        for number in range(10_000):
            cache.put(number + 2_000, number)
            assert cache.get(1_000) == 1


def test_the_cache_does_not_keep_what_is_heavier_than_half_of_it() -> None:
    cache: GenerationCache[str, bytes] = GenerationCache(100, weigh=lambda values: sum(map(len, values)))
    cache.put("a", b"x" * 10)
    cache.put("a", b"y" * 60)
    assert cache.get("a") is None and len(cache) == 0


def test_what_the_cache_is_given_again_weighs_once() -> None:
    cache: GenerationCache[int, bytes] = GenerationCache(100, weigh=lambda values: sum(map(len, values)))
    for _ in range(20):
        cache.put_many({1: b"x" * 10, 2: b"y" * 10})
        cache.put(1, b"z" * 20)
    cache.put(3, b"x" * 20)
    assert [len(cache.get(number) or b"") for number in (1, 2, 3)] == [20, 10, 20]
    assert len(cache._old) == 0, "nothing had to make room"
    cache.discard(1)
    cache.put(4, b"x" * 20)
    assert len(cache._old) == 0


def test_the_cache_takes_many_at_once_within_its_limit() -> None:
    cache: GenerationCache[int, int] = GenerationCache(100)
    cache.put(1, 1)
    cache.put_many(dict.fromkeys(range(2, 40), 7))
    assert cache.get(1) == 1 and cache.get(39) == 7
    cache.put_many(dict.fromkeys(range(100, 140), 8))
    assert cache.get(39) == 7 and cache.get(139) == 8, "the generation before is still there"
    cache.put_many(dict.fromkeys(range(1_000), 9))
    assert len(cache) <= 100 and cache.get(999) == 9


def test_a_cache_made_smaller_gives_way_as_more_is_put() -> None:
    cache: GenerationCache[int, int] = GenerationCache(1_000)
    cache.put_many(dict.fromkeys(range(400), 1))
    cache.resize(100)
    assert len(cache) == 400
    for number in range(1_000, 1_060):
        cache.put(number, 2)
    assert len(cache) <= 100 and cache.get(1_059) == 2
