"""The Chromium that browser tests drive: one that is there, else one that can be installed.

``python -m tests.browser.chromium --install`` is what ``make test`` runs; it prints the executable.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

MISSING = "no Chromium: `make test` installs one, VW_CHROMIUM names one"

FLAGS = (
    "--no-sandbox",  # containers run as root
    "--disable-gpu",  # software WebGL is slower than none
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # a page without focus must keep its timers and frames
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
)


def find() -> str | None:
    """Return the executable: ``VW_CHROMIUM``, else the system's, else the one of Playwright."""
    chosen = os.environ.get("VW_CHROMIUM")
    if chosen:
        return chosen
    return next((path for path in _candidates() if _starts(path)), None)


def install() -> None:
    """Install the distribution's package where that is possible, else Playwright's download."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        command = ["apt-get", "install", "-qq", "--no-install-recommends", "chromium"]
        subprocess.run([*command, "fonts-dejavu-core"], check=False)
        if find():  # on Ubuntu the package is a stub that starts nothing
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Give a headless browser for the length of a block."""
    path = find()
    if path is None:
        raise FileNotFoundError(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def _candidates() -> Iterator[str]:
    yield from filter(None, map(shutil.which, NAMES))
    with sync_playwright() as playwright:
        yield playwright.chromium.executable_path


def _starts(path: str) -> bool:
    try:
        return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    if find() is None and "--install" in sys.argv:
        install()
    found = find()
    print(found or MISSING)  # noqa: T201
    sys.exit(found is None)
