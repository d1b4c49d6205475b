from tests.faults import kills


def test_a_killed_server_leaves_a_torn_tail_at_most() -> None:
    figures = kills.run(5)
    assert figures["frames in the log, none missing"].value >= 5
