import pytest
from hypothesis import settings

# Machines are shared: a slow example says nothing about the code.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "sentence(*ids): the sentences of docs/frame-protocol.md that the test holds"
    )
