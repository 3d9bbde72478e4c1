"""What is shipped: bundles, wheel, version numbers, and the walls between the folders."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from importlinter.api import read_configuration
from importlinter.cli import lint_imports

import vit_widgets

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "vit_widgets"
STATIC = PACKAGE / "static"
BUNDLES = sorted(STATIC.glob("*.js"))
LARGEST_BUNDLE = 150_000  # bytes: a bundle is sent to the page once per widget instance


def test_this_checkout_is_under_test():
    """Breaks when the environment's editable install of another clone is imported instead."""
    assert Path(vit_widgets.__file__).parent == PACKAGE


def test_one_version_number():
    """Breaks when only one of the three places is changed for a release."""
    settings = (CHECKOUT / "pyproject.toml").read_text()
    project = re.search(r'^version = "(.+?)"', settings, re.MULTILINE)
    page = json.loads((CHECKOUT / "package.json").read_text())
    assert project
    assert project[1] == page["version"] == vit_widgets.__version__


# -- bundles -------------------------------------------------------------------------------------


def test_bundles_are_what_the_sources_build(tmp_path: Path):
    """Breaks when js/ is changed without `make build`, or when a build depends on its place."""
    shutil.copytree(CHECKOUT / "js", tmp_path / "js")
    without_bundles = shutil.ignore_patterns("static", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "vit_widgets", ignore=without_bundles)
    for settings in CHECKOUT.glob("*.json"):
        shutil.copy(settings, tmp_path)
    (tmp_path / "node_modules").symlink_to(CHECKOUT / "node_modules")
    _run(["npm", "run", "build"], tmp_path)
    assert _contents(tmp_path / "vit_widgets/static") == _contents(STATIC)
    assert BUNDLES


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_bundle_is_small_and_needs_no_network(bundle: Path):
    """Breaks when a bundle takes in something large, or an address that a page would load."""
    code = bundle.read_bytes()
    assert len(code) <= LARGEST_BUNDLE
    addresses = set(re.findall(rb"https?://[^\s\"'`)]+", code))
    assert addresses <= {b"http://www.w3.org/2000/svg"}  # the name of a namespace, never fetched
    assert not re.search(rb"\beval\(|\bnew Function\(", code)


# -- wheel ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the source distribution, as an installer without git does."""
    folder = tmp_path_factory.mktemp("dist")
    with tarfile.open(_build("sdist", CHECKOUT, folder)) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    assert (unpacked / "package-lock.json").exists()  # whoever has the sdist can rebuild
    assert (unpacked / "js/src").is_dir()
    return _build("wheel", unpacked, folder)


def test_wheel_holds_the_package_and_nothing_else(wheel: Path):
    """Breaks when bundles, weights or py.typed are left out, or tests and sources slip in."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert wheel.name.endswith("-py3-none-any.whl")
    assert names == {f"vit_widgets/{name}" for name in _contents(PACKAGE)}


def test_wheel_alone_shows_a_widget(wheel: Path, tmp_path: Path):
    """Breaks when an installed widget cannot find its bundle, or needs torch to show arrays."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import sys, vit_widgets as vw\n"
        "widgets = vw.LayerSlider, vw.HeadGrid, vw.PatchOverlay, vw.InspectorPage\n"
        "print(vw.__file__, 'torch' in sys.modules, *[len(str(w._esm)) > 1000 for w in widgets])\n"
    )
    home, *facts = _run([sys.executable, "-c", code], tmp_path, PYTHONPATH=str(tmp_path)).split()
    assert Path(home).parent == tmp_path / "vit_widgets"
    assert facts == ["False", "True", "True", "True", "True"]


# -- walls ---------------------------------------------------------------------------------------


def test_imports_respect_the_walls(monkeypatch: pytest.MonkeyPatch):
    """Breaks when a stage imports one that comes after it (the contracts in pyproject.toml)."""
    monkeypatch.chdir(CHECKOUT)
    assert lint_imports(no_cache=True) == 0


def test_every_folder_stands_behind_a_wall(monkeypatch: pytest.MonkeyPatch):
    """Breaks when a new folder or module of the package is in no import contract."""
    monkeypatch.chdir(CHECKOUT)
    contracts = read_configuration()["contracts_options"]
    named = {
        module.split(".")[1]
        for contract in contracts
        for module in [*contract.get("source_modules", []), *contract.get("layers", [])]
    }
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    there |= {path.stem for path in PACKAGE.glob("[!_]*.py")}
    assert there <= named


# -- helpers -------------------------------------------------------------------------------------


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _build(target: str, source: Path, folder: Path) -> Path:
    _run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)], source)
    (built,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


def _run(command: list[str], folder: Path, **environment: str) -> str:
    answer = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout
