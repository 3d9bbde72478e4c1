"""What every test relies on: this checkout is under test, and nothing is downloaded."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

# Markers whose tests run only when `-m` names them, and why.
DESELECTED = {
    "online": "so that a run needs no network",
    "nightly": "so that a run ends within minutes",
}


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment that kernels, servers and scripts started by tests inherit."""
    # An environment may hold an editable install of another clone: this one goes first.
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [path for path in inherited if path and Path(path) != CHECKOUT]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), *others])
    # A forgotten download fails at once instead of passing on the machines that have a network.
    if not _asked_for("online", config):
        os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say why some tests are deselected."""
    return [
        f"{name} tests: selected by -m"
        if _asked_for(name, config)
        else f"{name} tests: deselected, {reason}; `-m {name}` runs them"
        for name, reason in DESELECTED.items()
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not for every run; mark what lies in tests/browser, and run it last.

    Browser tests are the slowest, and Playwright's synchronous interface leaves an event loop
    running in this thread for the rest of the session, which code under other tests must not meet.
    """
    for item in items:
        if CHECKOUT / "tests/browser" in item.path.parents:
            item.add_marker("browser")
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    left_out = [name for name in DESELECTED if not _asked_for(name, config)]
    deselected = {item for item in items if any(map(item.get_closest_marker, left_out))}
    config.hook.pytest_deselected(items=list(deselected))
    items[:] = [item for item in items if item not in deselected]


def _asked_for(name: str, config: pytest.Config) -> bool:
    return name in config.option.markexpr


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the clone that these tests belong to."""
    return CHECKOUT
