"""Every item lies once in a row, and best-fit decreasing is as good as it should be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collegium import pack


@st.composite
def items(draw, most=120):
    capacity = draw(st.integers(1, 64))
    return draw(st.lists(st.integers(1, capacity), max_size=most)), capacity


@given(items())
def test_every_item_lies_once_in_a_row(case):
    lengths, capacity = case
    packing = pack(lengths, capacity)
    taken: set[tuple[int, int]] = set()
    for length, row, start in zip(
        lengths, packing.row_of.tolist(), packing.start_of.tolist(), strict=True
    ):
        assert 0 <= row < packing.rows
        assert start >= 0
        assert start + length <= capacity
        cells = {(row, cell) for cell in range(start, start + length)}
        assert not cells & taken
        taken |= cells
    assert set(packing.row_of.tolist()) == set(range(packing.rows))
    again = pack(lengths, capacity)
    assert again.row_of.tolist() == packing.row_of.tolist()
    assert again.start_of.tolist() == packing.start_of.tolist()


@given(items())
def test_rows_follow_the_definition(case):
    lengths, capacity = case
    room: list[int] = []
    filled: list[int] = []
    expected = [0] * len(lengths)
    for time, item in enumerate(sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))):
        fits = [(room[r], -filled[r], r) for r in range(len(room)) if room[r] >= lengths[item]]
        if not fits:
            room.append(capacity)
            filled.append(0)
            fits = [(capacity, 0, len(room) - 1)]
        expected[item] = min(fits)[2]
        filled[expected[item]] = time
        room[expected[item]] -= lengths[item]
    assert pack(lengths, capacity).row_of.tolist() == expected


def fewest_rows(lengths: list[int], capacity: int) -> int:
    """The optimum, by trying everything."""
    best = len(lengths)

    def place(left: list[int], room: list[int]) -> None:
        nonlocal best
        if len(room) >= best and left:
            return
        if not left:
            best = min(best, len(room))
            return
        head, rest = left[0], left[1:]
        for row in range(len(room)):
            if room[row] >= head and room[row] not in room[:row]:
                place(rest, [*room[:row], room[row] - head, *room[row + 1 :]])
        place(rest, [*room, capacity - head])

    place(sorted(lengths, reverse=True), [])
    return best


@given(items(most=9))
def test_close_to_the_optimum(case):
    lengths, capacity = case
    rows, best = pack(lengths, capacity).rows, fewest_rows(lengths, capacity)
    assert best <= rows <= 11 / 9 * best + 2 / 3
