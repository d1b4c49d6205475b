"""What may import what."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVER = ROOT / "sopchat"
CLIENT = ROOT / "client" / "sopchat_client"
GRADER = ROOT / "grader" / "sopchat_grader"

# Standard modules that do I/O, and Trio: not for the pure layer.
IMPURE = {"asyncio", "io", "os", "select", "selectors", "socket", "subprocess", "threading", "trio"}


def imports(file: Path) -> Iterator[str]:
    """The full names of the modules that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield node.module or ""


def files(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("file", files(SERVER), ids=str)
def test_the_server_imports_neither_the_client_nor_the_grader(file: Path) -> None:
    for name in imports(file):
        assert name.split(".")[0] not in ("sopchat_client", "sopchat_grader")


@pytest.mark.parametrize("file", files(CLIENT), ids=str)
def test_the_client_shares_only_the_wire_the_arguments_and_the_state_with_the_server(
    file: Path,
) -> None:
    for name in imports(file):
        if name.split(".")[0] == "sopchat":
            assert name.startswith(("sopchat.arguments", "sopchat.state", "sopchat.wire"))


@pytest.mark.parametrize("file", files(GRADER), ids=str)
def test_the_grader_imports_nothing_of_the_server_or_the_client(file: Path) -> None:
    for name in imports(file):
        assert name.split(".")[0] not in ("sopchat", "sopchat_client")


@pytest.mark.parametrize("file", files(SERVER / "wire"), ids=str)
def test_the_wire_is_pure(file: Path) -> None:
    for name in imports(file):
        assert name.split(".")[0] not in IMPURE
        assert not name.startswith("sopchat.") or name.startswith("sopchat.wire.")


def test_the_room_knows_no_socket() -> None:
    for name in imports(SERVER / "room.py"):
        assert name.split(".")[0] not in IMPURE
        assert not name.startswith(("sopchat.doors.", "sopchat.connection", "sopchat.session"))


@pytest.mark.parametrize("file", files(CLIENT), ids=str)
def test_textual_is_wanted_by_the_full_screen_alone(file: Path) -> None:
    if not file.is_relative_to(CLIENT / "tui"):
        for name in imports(file):
            assert name.split(".")[0] not in ("textual", "rich")
            assert not name.startswith("sopchat_client.tui") or file.name == "command.py"


@pytest.mark.parametrize(
    "package",
    [SERVER, SERVER / "log", CLIENT, CLIENT / "tui", GRADER],
    ids=lambda package: package.name,
)
def test_every_module_knows_only_those_above_it_on_the_map(package: Path) -> None:
    """The map is the docstring of the package."""
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    assert docstring is not None
    order = [
        line.split()[0].removesuffix("/").removesuffix(".py")
        for line in docstring.splitlines()
        if line.split() and line.split()[0].endswith(("/", ".py"))
    ]
    names = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(order) == names - {"__init__", "__pycache__", "py"}
    dotted = ".".join(package.relative_to(ROOT).parts) + "."
    dotted = dotted.removeprefix("client.").removeprefix("grader.")
    for file in files(package):
        place = file.relative_to(package).parts[0].removesuffix(".py")
        if place == "__init__":
            continue
        for name in imports(file):
            if name.startswith(dotted):
                module = name.removeprefix(dotted).split(".")[0]
                assert order.index(module) <= order.index(place), f"{file}: {name}"
