"""Drives a real JupyterLab or Notebook 7: a server of its own, and notebooks opened in Chromium.

Nothing here sleeps or tries twice. Every wait is for a state that the host or the widget itself
declares, because a machine under load is slower by any factor one could choose.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

CHECKOUT = Path(__file__).resolve().parents[2]
SCREENSHOTS = Path(__file__).parent / "screenshots"
TIMEOUT = 60.0  # seconds; a loaded machine doubles everything

# A cell that keeps the kernel busy until the test lets go of it; see NotebookPage.busy.
BUSY_CELL = "import pathlib, time\nwhile not pathlib.Path('stop').exists(): time.sleep(0.01)"


@dataclass(frozen=True)
class Flavour:
    """What differs between the two hosts."""

    name: str
    module: str
    expose: str
    path: str
    harmless: tuple[str, ...] = ()  # page errors of the host itself, with our widgets or without


JUPYTERLAB = Flavour("jupyterlab", "jupyterlab", "LabApp", "/lab/tree/{}?reset")
NOTEBOOK7 = Flavour(
    "notebook7",
    "notebook",
    "JupyterNotebookApp",
    "/notebooks/{}",
    harmless=("Cannot read properties of undefined (reading 'schema')",),  # at start, since 7.6
)


class JupyterHost:
    """One Jupyter server in a home of its own, and the browser that looks at it."""

    def __init__(self, flavour: Flavour, browser: Browser, home: Path) -> None:
        self.flavour = flavour
        self.browser = browser
        self.notebooks = home / "notebooks"
        self._home = home
        self._count = 0
        self.notebooks.mkdir(parents=True)
        self._turn_off_notifications()
        self._log = (home / "server.log").open("w")
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._server = subprocess.Popen(
            [
                *(sys.executable, "-m", flavour.module, "--no-browser"),
                f"--{flavour.expose}.expose_app_in_browser=True",
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.port={port}",
                "--ServerApp.port_retries=0",
                f"--ServerApp.root_dir={self.notebooks}",
                "--ServerApp.disable_check_xsrf=True",
                "--ServerApp.allow_root=True",
                "--IdentityProvider.token=",
            ],
            env=self._environment(),
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._wait_for_server()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> JupyterHost:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def open(self, cells: Sequence[str], viewport: tuple[int, int] = (1400, 1600)) -> NotebookPage:
        """Write a notebook with these code cells, open it, and wait until its kernel is idle."""
        self._count += 1
        name = f"test-{self._count}.ipynb"
        self._call("PUT", f"/api/contents/{name}", _notebook(cells))
        width, height = viewport
        page = self.browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(TIMEOUT * 1000)
        notebook = NotebookPage(page, self)
        page.goto(self.url + self.flavour.path.format(name))
        notebook.wait_until_ready()
        return notebook

    def close(self) -> None:
        """End the kernels, then the server."""
        if self._server.poll() is None:
            with contextlib.suppress(urllib.error.URLError):
                for kernel in self._call("GET", "/api/kernels"):
                    self._call("DELETE", f"/api/kernels/{kernel['id']}")
            self._server.terminate()
            try:
                self._server.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._log.close()

    def _environment(self) -> dict[str, str]:
        places = {
            "HOME": "home",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        own = {name: str(self._home / folder) for name, folder in places.items()}
        return {**os.environ, **own, "PYTHONPATH": str(CHECKOUT)}

    def _turn_off_notifications(self) -> None:
        settings = self._home / "settings/@jupyterlab/apputils-extension"
        settings.mkdir(parents=True)
        off = {"fetchNews": "false", "checkForUpdates": False}
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(off))

    def _wait_for_server(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline and self._server.poll() is None:
            with contextlib.suppress(OSError):
                self._call("GET", "/api/status")
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(0.1)  # the pause between two questions
        log = (self._home / "server.log").read_text()
        msg = f"{self.flavour.name} did not start:\n{log[-4000:]}"
        raise RuntimeError(msg)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.loads(answer.read() or b"null")


@dataclass
class NotebookPage:
    """An open notebook, driven through the host's own application object.

    As a context manager it fails on any error that the page reported meanwhile.
    """

    page: Page
    host: JupyterHost
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self._note(f"page error: {error}"))
        self.page.on("console", self._on_console)
        self.page.on("request", lambda request: self._on_request(request.url))

    def __enter__(self) -> NotebookPage:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self.close()
        if kind is None and self.problems:
            raise AssertionError("\n".join(self.problems))

    def close(self) -> None:
        """Close the page; its kernel ends, too, so that kernels do not pile up in a session.

        The page goes first: a kernel that is told to end while a thread of it sends breaks off in
        the middle of a message (pyzmq refuses buffers that it would not copy, "during shutdown"),
        and the next message is read as the rest of that one. ``stream.stdout`` is no picture.
        """
        self.page.close()
        with contextlib.suppress(urllib.error.HTTPError):
            for session in self.host._call("GET", "/api/sessions"):
                self.host._call("DELETE", f"/api/sessions/{session['id']}")

    def wait_until_ready(self) -> None:
        """Wait for the application, the cells, the restored layout and an idle kernel."""
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", state="attached")
        self.page.evaluate("jupyterapp.restored.then(() => null)")
        self.page.wait_for_function(
            f"() => {{ const kernel = {_KERNEL}; return kernel?.connectionStatus === 'connected'"
            " && kernel.status === 'idle'; }"
        )

    # -- cells -----------------------------------------------------------------------------------

    def run_all(self) -> None:
        """Run every cell; an exception in one of them fails the test with its traceback."""
        self._command("notebook:run-all-cells")
        self._raise_cell_errors()

    def run_cell(self, index: int) -> None:
        """Run one cell to its end."""
        self._activate(index)
        self._command("notebook:run-cell")
        self._raise_cell_errors()

    @contextlib.contextmanager
    def busy(self, index: int) -> Iterator[None]:
        """Let a ``BUSY_CELL`` occupy the kernel for as long as the block lasts."""
        stop = self.host.notebooks / "stop"
        self._activate(index)
        self.page.evaluate("() => { jupyterapp.commands.execute('notebook:run-cell'); }")
        self.page.wait_for_function(f"{_KERNEL}.status === 'busy'")
        try:
            yield
        finally:
            stop.touch()
            self.page.wait_for_function(f"{_KERNEL}.status === 'idle'")
            stop.unlink()
        self._raise_cell_errors()

    def delete_cell(self, index: int) -> None:
        """Delete one cell, as ``d d`` does."""
        self._activate(index)
        self._command("notebook:delete-cell")

    def cell(self, index: int) -> Any:
        """Return the locator of one cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    # -- kernel ----------------------------------------------------------------------------------

    def run_code(self, code: str) -> str:
        """Execute code in the notebook's kernel, outside the notebook, and return its stdout."""
        return self.page.evaluate(_EXECUTE, [code, TIMEOUT * 1000])

    def wait_for_python(self, expression: str, value: object) -> None:
        """Ask until an expression has a value in the kernel; each question is one round trip."""
        deadline = time.monotonic() + TIMEOUT
        while (said := self.run_code(f"print(repr({expression}))").strip()) != repr(value):
            if time.monotonic() > deadline:
                msg = f"{expression} is {said} in Python, not {value!r}"
                raise AssertionError(msg)

    # -- host ------------------------------------------------------------------------------------

    def set_theme(self, name: str) -> None:
        """Switch the host's theme, for example to ``JupyterLab Dark``."""
        self._command("apputils:change-theme", {"theme": name})
        self.page.wait_for_selector(f"body[data-jp-theme-name='{name}']", state="attached")

    def screenshot(self, name: str) -> Path:
        """Save what is seen now, to be looked at by a person."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{self.host.flavour.name}-{name}.png"
        self.page.screenshot(path=path)
        return path

    def _activate(self, index: int) -> None:
        self.page.evaluate(
            f"index => {{ const cells = {_PANEL}.content; cells.deselectAll();"
            " cells.activeCellIndex = index; }",
            index,
        )

    def _command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        self.page.evaluate(
            "([name, args]) => jupyterapp.commands.execute(name, args).then(() => null)",
            [name, arguments or {}],
        )

    def _raise_cell_errors(self) -> None:
        errors = self.page.evaluate(_CELL_ERRORS)
        if errors:
            raise AssertionError("\n".join(errors))

    # -- what went wrong -------------------------------------------------------------------------

    def _note(self, problem: str) -> None:
        if not any(text in problem for text in self.host.flavour.harmless):
            self.problems.append(problem)

    def _on_console(self, message: Any) -> None:
        if message.type == "error":
            self._note(f"console: {message.text}")

    def _on_request(self, url: str) -> None:
        if url.startswith("http") and not url.startswith(self.host.url):
            self._note(f"asked the network for {url}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _notebook(cells: Sequence[str]) -> dict[str, Any]:
    blank = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {
        "cells": [{**blank, "id": f"cell-{i}", "source": code} for i, code in enumerate(cells)],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return {"type": "notebook", "format": "json", "content": content}


_PANEL = "jupyterapp.shell.currentWidget"
_KERNEL = f"{_PANEL}?.sessionContext?.session?.kernel"

_EXECUTE = f"""async ([code, milliseconds]) => {{
  const future = {_KERNEL}.requestExecute({{ code, store_history: false }});
  let text = "";
  future.onIOPub = ({{ header, content }}) => {{
    if (header.msg_type === "stream" && content.name === "stdout") text += content.text;
  }};
  const late = new Promise((_, reject) =>
    setTimeout(() => reject(new Error(`the kernel did not answer: ${{code}}`)), milliseconds));
  const {{ content }} = await Promise.race([future.done, late]);
  if (content.status !== "ok") throw new Error((content.traceback ?? [content.status]).join("\\n"));
  return text;
}}"""

_CELL_ERRORS = f"""() => {_PANEL}.content.widgets.flatMap(({{ model }}) =>
  (model.toJSON().outputs ?? [])
    .filter(output => output.output_type === "error")
    .map(output => output.traceback.join("\\n")))"""
