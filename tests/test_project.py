"""The project's own rules: what it declares, what it ships, how it is layered."""

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = [
    Requirement(line)
    for line in PROJECT["dependencies"] + [r for rs in EXTRAS.values() for r in rs]
]
LOCK = (ROOT / "requirements.lock").read_text()

# The library from the ground up. A room imports from itself or from below, and
# no files import each other in a circle.
STOREYS = [
    {"errors", "arguments", "seeds"},
    {"files", "devices"},
    {"words"},
    {"data", "models", "masks", "masked_modules", "masking"},
    {"pruning"},
    {"training"},
    {"tickets", "controls"},
    {"experiments"},
    {"evidence"},
    {"figures"},
    {"exercises", "demo"},
    {"commands"},
    {"cli"},
]


def python(code: str, *, path: Path = ROOT, cwd: Path = ROOT) -> str:
    """Run `code` in a new interpreter whose first import folder is `path`."""
    setup = f"import sys; sys.path.insert(0, {str(path)!r})\n"
    done = subprocess.run(
        [sys.executable, "-P", "-c", setup + code],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# What is declared


def test_only_lower_bounds_but_for_jupyter_book():
    for requirement in DECLARED:
        operators = {bound.operator for bound in requirement.specifier}
        expected = {">=", "<"} if requirement.name == "jupyter-book" else {">="}
        assert operators == expected, requirement


def test_jupyter_book_is_below_2():
    (book,) = [r for r in DECLARED if r.name == "jupyter-book"]
    assert not book.specifier.contains("2.0.0")
    assert Version(version("jupyter-book")) < Version("2")


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_the_lock_and_this_environment_satisfy(requirement):
    name = re.escape(requirement.name)
    pins = re.findall(rf"^{name}==(\S+) .*\\$", LOCK, re.M)
    assert pins, f"{requirement.name} is not in requirements.lock: make lock"
    assert all(requirement.specifier.contains(pin) for pin in pins)
    assert requirement.specifier.contains(version(requirement.name))


def test_every_pin_has_hashes_and_no_address():
    pins = re.findall(r"^\S+==.*\n {4}--hash=sha256:", LOCK, re.M)
    assert len(pins) == len(re.findall(r"^\S+==", LOCK, re.M)) > 100
    assert "://" not in LOCK


def test_the_conda_environment_is_thin_and_matches():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python_range, pip, installs = environment["dependencies"]
    assert pip == "pip"
    (editable,) = installs["pip"]
    extras = re.fullmatch(r"-e \.\[([a-z,]+)\]", editable)[1].split(",")
    assert sorted(extras) == sorted(EXTRAS)
    assert allowed(python_range.removeprefix("python ")) == supported()


def supported() -> list[str]:
    """Return the Python versions that the classifiers name."""
    lines = " ".join(PROJECT["classifiers"])
    return re.findall(r"Python :: (3\.\d+)", lines)


def allowed(specifier: str) -> list[str]:
    """Return the Python versions that `specifier` lets in."""
    bounds = SpecifierSet(specifier)
    return [f"3.{minor}" for minor in range(8, 30) if bounds.contains(f"3.{minor}.1")]


def test_pythons_are_named_alike_everywhere():
    floor = SpecifierSet(PROJECT["requires-python"])
    assert all(floor.contains(python) for python in supported())
    assert not floor.contains("3.10")
    first, last = supported()[0], supported()[-1]
    comparison = "({}) <= sys.version_info[:2] <= ({})".format(
        first.replace(".", ", "), last.replace(".", ", ")
    )
    assert comparison in (ROOT / "Makefile").read_text()


def test_version_and_address_are_named_alike_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    book = yaml.safe_load((ROOT / "_config.yml").read_text())
    address = book["repository"]["url"]
    assert citation["repository-code"] == PROJECT["urls"]["Repository"] == address
    assert f"git clone {address}\n" in (ROOT / "README.md").read_text()


# What is shipped


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Build the wheel and lay it out as an installer would, alone."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    assert wheel.stat().st_size < 15e6, "the wheel is too large"
    site = folder / "site"
    zipfile.ZipFile(wheel).extractall(site)
    return site


def test_the_wheel_works_alone(installed, tmp_path):
    printed = python(
        """
import json, lth_utils as lth
small = lth.load("mnist-small")
run = lth.recorded("lenet-mnist", profile="laptop")
print(json.dumps({
    "home": lth.__path__[0],
    "images": [len(small.train.labels), len(small.test.labels)],
    "arms": sorted(set(run["arm"])),
    "provenance": sorted(run.attrs["provenance"]),
}))
""",
        path=installed,
        cwd=tmp_path,
    )
    seen = json.loads(printed)
    assert Path(seen["home"]) == installed / "lth_utils"
    assert seen["images"] == [12_000, 10_000]
    assert {"dense", "ticket", "reinit"} <= set(seen["arms"])
    assert seen["provenance"]


def test_the_wheel_holds_types_licences_and_the_command(installed):
    assert (installed / "lth_utils" / "py.typed").exists()
    assert (installed / "lth_utils" / "__init__.pyi").exists()
    (info,) = installed.glob("*.dist-info")
    assert "lth = lth_utils.cli:main" in (info / "entry_points.txt").read_text()
    assert {"LICENSE", "LICENSE-MNIST"} <= {p.name for p in info.rglob("*")}


def test_the_wheel_holds_no_assignment(installed):
    sources = {p.name for p in (ROOT / "notebooks" / "assignments").iterdir()}
    shipped = [path for path in installed.rglob("*") if path.is_file()]
    assert not sources & {path.name for path in shipped} - {"README.md"}
    marks = (b"BEGIN SOLUTION", b"BEGIN HIDDEN TESTS", b"](notebooks/assignments")
    assert not [p for p in shipped if any(mark in p.read_bytes() for mark in marks)]


def test_the_data_has_its_licence_named():
    folder = ROOT / "lth_utils" / "data" / "packaged"
    licence = (folder / "LICENSE-MNIST").read_text()
    for data in folder.glob("*.np*"):
        assert data.name in licence
        assert data.stat().st_size <= 5e6
    assert "CC BY-SA 3.0" in licence
    assert "CC BY-SA 3.0" in (ROOT / "README.md").read_text()


def test_no_tracked_file_names_a_machine_or_a_registry():
    listing = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    machine = rb"/root/|/home/|/Users/|/work/|\.\./shared"
    registry = rb"pypi\.org|pythonhosted|npmjs\.|download\.pytorch"
    forbidden = re.compile(machine + rb"|" + registry)
    files = [ROOT / name for name in listing.stdout.splitlines()]
    found = {
        path.name: match[0]
        for path in files
        if path.is_file() and path != Path(__file__).resolve()
        if (match := forbidden.search(path.read_bytes()))
    }
    assert files
    assert not found


# How it is layered

LATE = ("torchvision", "pandas", "matplotlib", "ipywidgets", "seaborn", "mnist1d")


def loaded_after(statement: str) -> set[str]:
    """Return which heavy modules `statement` loads; a socket is refused."""
    return set(
        python(
            f"""
def refuse(event, arguments):
    if event.startswith("socket."):
        raise SystemExit("a socket was used: " + event)
sys.addaudithook(refuse)
{statement}
print(*(name for name in {("torch", *LATE)!r} if name in sys.modules))
"""
        ).split()
    )


def test_importing_is_light():
    assert loaded_after("import lth_utils") == set()


def test_a_network_needs_torch_alone():
    assert loaded_after("import lth_utils as lth; lth.LeNet(seed=0)") == {"torch"}


@cache
def imports() -> dict[str, set[str]]:
    """Return the files of the library, by module, and the modules they import."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in (ROOT / "lth_utils").rglob("*.py")
    }
    return {module: named_in(path) & set(files) for module, path in files.items()}


def named_in(path: Path) -> set[str]:
    """Return what a file's imports name: modules, and names inside modules."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
            names.add(str(node.module))
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names - {"lth_utils"}


def storey_of(module: str) -> int:
    """Return the number of a module's storey."""
    room = module.split(".")[1]
    return next(number for number, rooms in enumerate(STOREYS) if room in rooms)


def test_every_room_has_a_storey():
    rooms = {module.split(".")[1] for module in imports() if "." in module}
    assert rooms == set.union(*STOREYS)


def test_every_room_says_what_it_is_for():
    for place in (ROOT / "lth_utils").iterdir():
        if place.is_dir() and place.name != "__pycache__":
            tree = ast.parse((place / "__init__.py").read_text())
            assert len(ast.get_docstring(tree).splitlines()) > 1, place


def test_imports_run_downward_only():
    upward = [
        f"{module} imports {name}"
        for module, names in imports().items()
        for name in names
        if storey_of(name) > storey_of(module)
    ]
    assert not upward


def test_imports_run_in_no_circle():
    waiting = {module: names - {module} for module, names in imports().items()}
    while free := {module for module, needs in waiting.items() if not needs}:
        waiting = {m: needs - free for m, needs in waiting.items() if m not in free}
    assert not waiting, "these modules import each other"


def test_files_stay_short():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "lth_utils").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert not long


def test_the_subject_can_be_read_in_one_sitting():
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text().split())
    listed = re.search(r"for one sitting, in this order: (.*?) Everything", text)[1]
    files = re.findall(r"`lth_utils/(\S+\.py)`", listed)
    assert "masks.py" in files
    assert "training/loop.py" in files
    lines = [
        len((ROOT / "lth_utils" / name).read_text().splitlines()) for name in files
    ]
    assert sum(lines) < 1500
