"""What every test relies on: this checkout is under test, and nothing is downloaded."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment that kernels, servers and scripts started by tests inherit."""
    # An environment may hold an editable install of another clone: this one goes first.
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [path for path in inherited if path and Path(path) != CHECKOUT]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), *others])
    # A forgotten download fails at once instead of passing on the machines that have a network.
    if not _online(config):
        os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_report_header(config: pytest.Config) -> str:
    """Say why some tests are deselected."""
    if _online(config):
        return "online tests: selected by -m"
    return "online tests: deselected, so that a run needs no network; `-m online` runs them"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what downloads; mark what lies in tests/browser, and run it last.

    Browser tests are the slowest, and Playwright's synchronous interface leaves an event loop
    running in this thread for the rest of the session, which code under other tests must not meet.
    """
    for item in items:
        if CHECKOUT / "tests/browser" in item.path.parents:
            item.add_marker("browser")
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    if not _online(config):
        downloading = [item for item in items if item.get_closest_marker("online")]
        config.hook.pytest_deselected(items=downloading)
        items[:] = [item for item in items if item not in downloading]


def _online(config: pytest.Config) -> bool:
    return "online" in config.option.markexpr


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the clone that these tests belong to."""
    return CHECKOUT
