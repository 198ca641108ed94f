"""Circles in what waits for what. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MOST_CIRCLES = 20


def circles(edges: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Circles of ``edges``, each once, its smallest key first and again at the end; none: there is no circle.

    One for each edge that closes one in a single walk, so that cutting every one of them leaves no circle; at most
    MOST_CIRCLES.
    """
    found: list[tuple[str, ...]] = []
    done: set[str] = set()
    for start in sorted(edges.keys()):
        path = [] if start in done else [start]
        place = {start: 0}
        ahead = [iter(dict.fromkeys(edges[start]))]
        while path:
            key = next(ahead[-1], None)
            if key is None:
                ahead.pop()
                done.add(path[-1])
                del place[path.pop()]
            elif key in place:
                found.append(_turned(path[place[key] :]))
                if len(found) == MOST_CIRCLES:
                    return found
            elif key not in done:
                place[key] = len(path)
                path.append(key)
                ahead.append(iter(dict.fromkeys(edges.get(key, ()))))
    return found


def _turned(steps: list[str]) -> tuple[str, ...]:
    first = steps.index(min(steps))
    return (*steps[first:], *steps[:first], steps[first])
