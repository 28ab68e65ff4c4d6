"""Rules that no single module can enforce."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = [ROOT / "platform", ROOT / "studies", ROOT / "governance", ROOT / "workers"]
SOURCES = sorted(
    path for folder in PRODUCT for path in folder.rglob("*.py") if "migrations" not in path.parts
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("name", ["__init__.py", "conftest.py"])
def test_platform_is_a_source_root_and_never_a_package(name: str) -> None:
    assert not (ROOT / "platform" / name).exists(), (
        f"platform/{name} shadows Python's own `platform` module (ADR 2)"
    )
    assert not list((ROOT / "platform").glob("test_*.py"))
    assert not (ROOT / "tests" / "platform").exists()


def test_the_standard_library_still_owns_the_name_platform() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", "import platform; print(platform.__file__, platform.system())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(ROOT) not in printed


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_room_without_a_name_of_its_own(path: Path) -> None:
    nameless = {"utils", "helpers", "common", "core", "services", "managers", "signals", "misc"}
    assert path.stem not in nameless
    assert path.parent.name not in nameless


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_pickle_no_weak_randomness(path: Path) -> None:
    """Nothing is pickled, and no protocol or noise draws from `random` or `numpy.random`."""
    banned = {"pickle", "marshal", "shelve", "dill", "random"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & banned
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.module.split(".")[0] not in banned
            assert node.module != "numpy.random"
        elif isinstance(node, ast.Attribute) and node.attr == "random":
            assert not (isinstance(node.value, ast.Name) and node.value.id in {"np", "numpy"})


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_modules_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400, f"{relative(path)} wants to be split"


def test_requirements_are_hashed_and_name_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text
        assert "--index-url" not in text
        requirements = [line for line in text.splitlines() if line and line[0].isalpha()]
        assert requirements
        assert text.count("--hash=sha256:") >= len(requirements)


def test_compose_runs_the_commands_that_the_house_runs() -> None:
    from demo.house import House

    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services = compose["services"]
    house = House(home=Path("/nowhere"), sites=["alder"], port=8000)

    def flags(words: list[str]) -> set[str]:
        joined = " ".join(words).replace("=", " ")
        return {word for word in joined.split() if word.startswith("--")}

    web = services["web"]["command"]
    assert web[:2] == ["uvicorn", "portal.asgi:application"]
    assert flags(web) <= flags(house.command("portal"))
    assert services["gate"]["command"][:4] == ["celery", "-A", "portal", "worker"]
    for service, verb in {"agent": "run", "worker": "worker"}.items():
        assert services[service]["command"][0] == "site-agent"
        assert services[service]["command"][-1] == verb
        assert house.command(f"alder-{service}")[-1] == verb
    # Brokers and databases are never shared across organisations.
    site_side = {name for name, service in services.items() if "site" in service["profiles"]}
    for name in site_side:
        assert not {"database", "redis"} & set(services[name].get("depends_on", []))
        assert "ports" not in services[name], "a site opens no port"


def test_nothing_reads_the_workshop() -> None:
    """Users of the repository have no `../shared`: nothing in the project may read it."""
    for path in [*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "demo").rglob("*.py")]:
        if path == Path(__file__):
            continue
        assert "/work/" not in path.read_text(), relative(path)
        assert "../shared" not in path.read_text(), relative(path)
