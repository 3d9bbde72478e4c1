"""One Chromium and one server per host for the whole session; one notebook per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium as executable
from tests.browser.host_page.server import HostPage
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


@pytest.fixture(scope="session")
def server(checkout: Path) -> Iterator[HostPage]:
    """Serve the checkout to pages of widgets without a kernel."""
    server = HostPage(checkout)
    yield server
    server.close()


@pytest.fixture
def page(chromium: Browser, server: HostPage) -> Iterator[Page]:
    """Open an empty host page; anything it complains about fails the test."""
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda m: m.type in {"error", "warning"} and complaints.append(m.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.url)
    page.wait_for_function("window.host")
    yield page
    page.close()
    assert complaints == []
