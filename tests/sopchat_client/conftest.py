"""What the client keeps and trusts, apart from that of whoever runs the tests."""

from pathlib import Path

import pytest

from tests.support.tls import authority


@pytest.fixture(autouse=True)
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where servers are remembered."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "sop-chat" / "known-servers"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(file)
    return file
