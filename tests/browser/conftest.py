"""One Chromium and one server per host for the whole session; one notebook per test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import chromium as executable
from tests.browser.jupyter_host import JUPYTERLAB, NOTEBOOK7, TIMEOUT, JupyterHost

expect.set_options(timeout=TIMEOUT * 1000)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    with executable.launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def jupyterlab(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JupyterHost]:
    """A running JupyterLab."""
    with JupyterHost(JUPYTERLAB, chromium, tmp_path_factory.mktemp("jupyterlab")) as host:
        yield host


@pytest.fixture(scope="session")
def notebook7(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterHost]:
    """A running Notebook 7."""
    with JupyterHost(NOTEBOOK7, chromium, tmp_path_factory.mktemp("notebook7")) as host:
        yield host


@pytest.fixture(params=["jupyterlab", "notebook7"])
def host(request: pytest.FixtureRequest) -> JupyterHost:
    """Each of the two hosts in turn."""
    return request.getfixturevalue(request.param)
