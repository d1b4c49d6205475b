from tests.faults import kills


def test_a_killed_server_leaves_a_torn_tail_at_most() -> None:
    figures = kills.run(5)
    assert figures["kills"] == 5
    assert figures["frames"] >= 5
