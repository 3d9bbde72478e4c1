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
    if config.option.markexpr.strip() == "not online":
        os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the browser tests last.

    They are the slowest, and Playwright's synchronous interface leaves an event loop running in
    this thread for the rest of the session, which code under other tests must not meet.
    """
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the clone that these tests belong to."""
    return CHECKOUT
