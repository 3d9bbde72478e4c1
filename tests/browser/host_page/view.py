"""One widget on the host page, and what stands behind it."""

import itertools
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.host_page.server import HostPage

_numbers = itertools.count()


class View:
    """One widget on the page, and what stands behind it."""

    def __init__(self, page: Page, server: HostPage, numbers: dict[str, int]) -> None:
        self.page, self.server = page, server
        self.model, self.number = numbers["model"], numbers["view"]
        self.root = page.locator(f"#view-{self.number} .vw-root")

    def get(self, trait: str) -> Any:
        """Read a trait as Python would."""
        return self.page.evaluate("([m, k]) => host.models[m].get(k)", [self.model, trait])

    def saved(self) -> list[dict[str, Any]]:
        """Return the messages that Python got."""
        return self.page.evaluate("m => host.models[m].saved", self.model)

    def python(self, **changes: Any) -> None:
        """Set traits from Python; arrays may be in them."""
        name = self.server.put(f"changes-{next(_numbers)}", changes)
        self.page.evaluate("([m, name]) => host.receive(m, name)", [self.model, name])

    def drawn(self, *selection: int) -> None:
        """Wait until this is on screen."""
        expect(self.root).to_have_attribute("data-drawn", ":".join(map(str, selection)))

    def find(self, selector: str) -> Locator:
        """Find inside the widget."""
        return self.root.locator(selector)

    def patch(self, stage: str, place: tuple[int, int], grid: tuple[int, int]) -> dict[str, float]:
        """Give the middle of a patch of a picture, for the pointer."""
        self.find(stage).scroll_into_view_if_needed()
        box = self.find(stage).bounding_box()
        assert box
        x = box["x"] + (place[1] + 0.5) * box["width"] / grid[1]
        y = box["y"] + (place[0] + 0.5) * box["height"] / grid[0]
        return {"x": x, "y": y}

    def pixel(self, canvas: str, x: float, y: float, index: int = 0) -> list[int]:
        """Read the pixel at a part (0..1) of the width and height of a canvas."""
        return (
            self.find(canvas)
            .nth(index)
            .evaluate(
                """(canvas, [x, y]) => {
            const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
            copy.drawImage(canvas, -Math.floor(x * canvas.width), -Math.floor(y * canvas.height));
            return [...copy.getImageData(0, 0, 1, 1).data]; }""",
                [x, y],
            )
        )

    def sticking_out(self) -> list[str]:
        """Name the elements that are wider than their place."""
        return self.root.evaluate(
            """root => { const edge = root.getBoundingClientRect();
          return [...root.querySelectorAll("*")].filter(n => {
            const box = n.getBoundingClientRect();
            return box.width > 2 && (box.right > edge.right + 1 || box.left < edge.left - 1);
          }).map(n => n.className); }"""
        )

    def nameless(self) -> list[str]:
        """Give what can be focused and has no name that a screen reader could say."""
        return self.root.evaluate(
            """root => [...root.querySelectorAll(
            "button, input, select, [tabindex], [role=progressbar], [role=application]")]
          .filter(n => !(n.getAttribute("aria-label") || n.textContent.trim() ||
            n.closest("label")?.textContent.trim())).map(n => n.outerHTML)"""
        )
