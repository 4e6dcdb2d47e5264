"""Which place a checkpoint names while a parser holds lines back."""

from __future__ import annotations

from sigma.pyeval.monitor.sources.places import MOST_PLACES, Places


def test_the_checkpoint_stays_before_held_lines() -> None:
    """It is the last end of a batch before the held line; with nothing held it is where reading is."""
    places = Places(0, "start")
    assert places.advance(100, "a", None) == ("a", True)
    assert places.advance(200, "b", 150) == ("a", False)
    assert places.advance(300, "c", 250) == ("b", False)
    assert places.advance(400, "d", 250) == ("b", False)
    assert places.advance(500, "e", 400) == ("d", False)
    assert places.advance(600, "f", None) == ("f", True)


def test_the_first_batch_may_be_held() -> None:
    """Then reading begins at its beginning again."""
    places = Places(50, "start")
    assert places.advance(100, "a", 50) == ("start", False)


def test_few_places_are_kept() -> None:
    """Memory is bounded, and the place that is named is never behind the held line."""
    places = Places(0, 0)
    for position in range(1, 10_000):
        kept, complete = places.advance(position, position, 0)
        assert (kept, complete) == (0, False)
        assert len(places._places) <= MOST_PLACES
    kept, _ = places.advance(10_000, 10_000, 9_000)
    assert kept <= 9_000
