"""Serves the checkout and what a test wants the page to hold, on the loopback interface."""

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class HostPage:
    """A server for pages of widgets without a kernel."""

    def __init__(self, checkout: Path) -> None:
        self.fixtures: dict[str, bytes] = {}
        handler = partial(_Handler, self.fixtures, directory=str(checkout))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/tests/browser/host_page/index.html"

    def put(self, name: str, state: dict[str, Any]) -> str:
        """Offer a state as JSON and bytes; returns its name."""
        chunks = bytearray(b"\0")  # so that buffers begin at odd places
        body = _without_buffers(state, chunks)
        self.fixtures[f"/fixture/{name}.json"] = json.dumps(body, allow_nan=False).encode()
        self.fixtures[f"/fixture/{name}.bin"] = bytes(chunks)
        return name

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _without_buffers(value: Any, chunks: bytearray) -> Any:
    if isinstance(value, bytes):
        start = len(chunks)
        chunks += value
        return {"$buffer": [start, len(chunks)]}
    if isinstance(value, dict):
        return {key: _without_buffers(item, chunks) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_buffers(item, chunks) for item in value]
    return value


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

    def __init__(self, fixtures: dict[str, bytes], *args: Any, **kwargs: Any) -> None:
        self.fixtures = fixtures
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:  # the name http.server calls
        """Answer with a fixture, else with a file."""
        body = self.fixtures.get(self.path)
        if body is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        """Let nothing be cached: tests write what they ask for."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""
