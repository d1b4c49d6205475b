import signal

import pytest
from hypothesis import settings

# Machines are shared: a slow example says nothing about the code.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


# Who starts the tests in the background may have them ignored, and every program inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "sentence(*ids): the sentences of docs/frame-protocol.md that the test holds"
    )
