from hypothesis import given
from hypothesis import strategies as st

from sopchat.rate import Rate

STEPS = st.lists(st.tuples(st.integers(1, 200), st.floats(0, 10)), max_size=50)


def test_a_burst_may_be_said_at_once_and_the_next_frame_a_moment_later() -> None:
    rate = Rate(per_second=50, burst=200, at=0)
    assert rate.said(200, 0) == 0
    assert rate.said(1, 0) == 1 / 50


def test_who_was_silent_may_say_a_burst_and_no_more() -> None:
    rate = Rate(50, 200, 0)
    rate.said(200, 0)
    assert not rate.rested(3.9)
    assert rate.rested(4)
    assert rate.said(200, 1000) == 0
    assert rate.said(50, 1000) == 1


@given(STEPS)
def test_who_waits_as_told_never_says_more_than_a_burst_beyond_its_rate(
    steps: list[tuple[int, float]],
) -> None:
    """Beyond that, only what its last read took at once."""
    rate, now, said = Rate(10, 20, 0), 0.0, 0
    for frames, pause in steps:
        assert said <= 20 + 10 * now + 1e-6
        said += frames
        now += rate.said(frames, now) + pause


@given(STEPS)
def test_who_keeps_to_its_rate_never_waits(steps: list[tuple[int, float]]) -> None:
    rate, now = Rate(10, 200, 0), 0.0
    for frames, pause in steps:
        assert rate.said(frames, now) == 0
        now += frames / 10 + pause + 1e-6
