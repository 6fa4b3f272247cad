"""Whose transactions were announced, also when the announcement of one comes in pieces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastha.dataplane.nft_generation import NFT_MSG_NEWGEN, NFTA_GEN_ID, NFTA_TABLE, Generation, Message

TOUCH: Message = (2, {NFTA_TABLE: b"fastha\0"})  # NFT_MSG_DELTABLE
OTHER: Message = (2, {NFTA_TABLE: b"foreign\0"})


def ended(generation: int) -> Message:
    return NFT_MSG_NEWGEN, {NFTA_GEN_ID: generation.to_bytes(4)}


class Heard(Generation):
    """Without sockets: `queue` is what the kernel has announced and nobody has taken."""

    def __init__(self) -> None:
        self._table, self._last, self._ours, self._touched = b"fastha\0", None, 0, False
        self.queue: list[Message] = []

    def _heard(self) -> Iterator[Message]:
        taken, self.queue = self.queue, []
        yield from taken


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_others_alone(heard: Heard) -> None:
    heard.queue = [OTHER, ended(6), ended(7)]
    assert heard.only_others(5, 7)


def test_ours_among_them(heard: Heard) -> None:
    heard.queue = [OTHER, ended(6), TOUCH, ended(7), OTHER, ended(8)]
    assert not heard.only_others(5, 8)
    assert heard.only_others(7, 8), "who has seen 7 has seen it"


@pytest.mark.parametrize("now", [5, 6])
def test_an_announcement_in_pieces(heard: Heard, now: int) -> None:
    """The first look may come before or after the kernel counts the new generation."""
    heard.queue = [TOUCH]
    heard.only_others(5, now)
    heard.queue = [ended(6)]
    assert not heard.only_others(5, 6)


def test_pieces_of_the_next_one_behind_our_own(heard: Heard) -> None:
    heard.queue = [TOUCH, ended(6), TOUCH]
    heard.hear()  # 6 was ours
    heard.queue = [ended(7)]
    assert not heard.only_others(6, 7)


def test_what_was_lost_may_have_been_ours(heard: Heard) -> None:
    heard.queue = [ended(6), ended(8)]
    assert not heard.only_others(5, 8)
    heard.queue = []
    assert not heard.only_others(8, 9), "9 was not heard of"
