"""Where reading has to go on after a crash while a parser holds lines of earlier batches back."""

from __future__ import annotations

from typing import Final

from sigma.pyeval.monitor.batches import Json

MOST_PLACES: Final = 256
"""So many are remembered; beyond, every second is forgotten, and a little more is read again after a crash."""


class Places:
    """The ends of batches that may still be needed, each with the state that reading goes on with there.

    Args:
        position: Where reading begins.
        state: The state for it.
    """

    def __init__(self, position: int, state: Json) -> None:
        self._places: list[tuple[int, Json]] = [(position, state)]

    def advance(self, position: int, state: Json, held_from: int | None) -> tuple[Json, bool]:
        """Note that reading has come to *position*; return the state to keep, and whether nothing behind it was judged.

        Args:
            position: Of the next line.
            state: The state for it.
            held_from: The first line whose event has not been given out, or ``None``.
        """
        places = self._places
        if held_from is None:
            places[:] = [(position, state)]
            return state, True
        places.append((position, state))
        needed = 0
        while needed + 1 < len(places) and places[needed + 1][0] <= held_from:
            needed += 1
        del places[:needed]
        if len(places) > MOST_PLACES:
            del places[1::2]
        return places[0][1], False
