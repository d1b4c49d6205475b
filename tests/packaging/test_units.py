"""The units of packaging/, as systemd itself sees them."""

import subprocess
from pathlib import Path

import pytest

from tests.support.programs import SOP_CHAT, require_tool

PACKAGING = Path(__file__).parent.parent.parent / "packaging"
INSTALLED = "/opt/sop-chat/bin/sop-chat"


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = require_tool("systemd-analyze")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units as they are installed, with the command where it is here."""
    units = []
    for name in ("sop-chat.service", "sop-chat.socket"):
        unit = tmp_path / name
        unit.write_text((PACKAGING / name).read_text().replace(INSTALLED, SOP_CHAT))
        units.append(unit)
    return units


def verify(units: list[Path]) -> str:
    """What systemd has against the units."""
    done = analyze("verify", "--man=no", *map(str, units))
    return done.stderr or done.stdout or f"status {done.returncode}" * (done.returncode != 0)


def test_systemd_has_nothing_against_the_units(units: list[Path]) -> None:
    assert verify(units) == ""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Type=notify", "Type=notified"),
        ("NotifyAccess=", "NotifyAcces="),
        ("LoadCredential=key:", "LoadCredential="),
        ("Requires=sop-chat.socket", "Requires=sop-chat..socket/"),
        (SOP_CHAT, "/nowhere/sop-chat"),
    ],
)
def test_a_mistake_in_the_service_would_be_seen(units: list[Path], right: str, wrong: str) -> None:
    text = units[0].read_text()
    assert right in text
    units[0].write_text(text.replace(right, wrong))
    assert verify(units) != ""


def test_what_the_service_may_do_is_next_to_nothing(units: list[Path]) -> None:
    # In tenths: as packaging/README.md says.
    done = analyze("security", "--offline=true", "--threshold=5", str(units[0]))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_service_without_protection_would_be_seen(units: list[Path]) -> None:
    text = units[0].read_text()
    units[0].write_text(text.replace("ProtectSystem=strict\n", "").replace("DynamicUser=yes\n", ""))
    done = analyze("security", "--offline=true", "--threshold=5", str(units[0]))
    assert done.returncode == 1, done.stdout + done.stderr


def test_the_commands_of_the_page_name_what_is_there() -> None:
    page = (PACKAGING / "README.md").read_text()
    service = (PACKAGING / "sop-chat.service").read_text()
    assert f"{Path(INSTALLED).parent}/pip install" in page
    assert INSTALLED in service
    key = "/etc/sop-chat/key"
    assert key in page
    assert f"LoadCredential=key:{key}\n" in service
