"""Names that are there more than once."""

from __future__ import annotations

from fastha.config.twice import distinct, twice


def test_twice() -> None:
    assert twice([]) == set()
    assert twice(["b", "a", "b", "c", "a", "b"]) == {"a", "b"}
    assert twice(iter([3, 1, 2])) == set()


def test_distinct_keeps_the_order_and_the_first() -> None:
    first = (1, "x")
    found = distinct([(2, "y"), first, (int("1"), "x"), (0, "z")])
    assert found == ((2, "y"), (1, "x"), (0, "z"))
    assert found[1] is first
    assert distinct([-1, -2]) == (-1, -2)  # of one hash
