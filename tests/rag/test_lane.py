"""Lanes beside each other: late and failing ones are left out and named."""

import time

from rag.errors import LaneLateError
from rag.lane import LaneFound, RunningLanes, key_of
from rag.testing import passage


def quick(_: float) -> LaneFound:
    return LaneFound(queries=("q",), passages=(passage("a", score=0.5),))


def hanging(_: float) -> LaneFound:
    time.sleep(5)
    raise AssertionError


def failing(_: float) -> LaneFound:
    raise ValueError("no such thing")


def giving_up(_: float) -> LaneFound:
    raise LaneLateError("still writing")


def test_the_outcomes_come_in_the_order_of_the_lanes_whatever_became_of_them() -> None:
    began = time.monotonic()
    lanes = {"hangs": hanging, "works": quick, "fails": failing, "gives up": giving_up}
    outcomes = RunningLanes(lanes, seconds=0.3).outcomes()
    assert time.monotonic() - began < 4.5  # what hangs does so for 5 s
    assert list(outcomes) == list(lanes)
    assert outcomes["works"].found is not None
    assert outcomes["works"].problem == ""
    assert outcomes["hangs"].problem == "late: not done after 0.3 s"
    assert outcomes["fails"].problem == "failed: ValueError: no such thing"
    assert outcomes["gives up"].problem == "late: still writing"
    assert [one.found for one in outcomes.values()].count(None) == 3


def test_no_lanes_are_no_wait() -> None:
    assert RunningLanes({}, seconds=60).outcomes() == {}


def test_each_lane_knows_its_deadline() -> None:
    seen: list[float] = []

    def lane(deadline: float) -> LaneFound:
        seen.append(deadline - time.monotonic())
        return quick(deadline)

    RunningLanes({"one": lane}, seconds=7).outcomes()
    assert 6 < seen[0] <= 7


def test_a_lane_says_where_its_passages_stand() -> None:
    found = LaneFound(queries=(), passages=(passage("a", score=0.5), passage("b", score=0.2)))
    place = found.places()[key_of(found.passages[1])]
    assert (place.rank, place.score) == (2, 0.2)
