"""What a tab of any browser can do by what it can run and click: the part that tests of the page share."""

import json
import time
from abc import ABC, abstractmethod
from typing import Any

WITHIN = 120.0
"""Seconds: a machine under load is slow."""


class RefusedError(Exception):
    """The browser cannot do what it was told: in the middle of loading a page, say."""


class BrowserTab(ABC):
    """One page of a browser."""

    @abstractmethod
    def run(self, script: str) -> Any:
        """Return what an expression of JavaScript comes to, awaited."""

    @abstractmethod
    def click(self, x: float, y: float) -> None:
        """Click a place in the window."""

    def wait(self, condition: str) -> Any:
        """Return what an expression comes to once that is true; what it throws counts as not yet."""
        end = time.monotonic() + WITHIN
        while not (value := self._tried(f"(() => {{ try {{ return {condition} }} catch {{ return null }} }})()")):
            assert time.monotonic() < end, (
                f"never true: {condition}; the page shows {self.run('document.body.innerText')}"
            )
            time.sleep(0.03)
        return value

    def _tried(self, script: str) -> Any:
        try:
            return self.run(script)
        except RefusedError:
            return None

    def reload(self, by: str = "location.reload()") -> None:
        """Have the page loaded anew, by a script that does it, and wait until the old one is gone."""
        self.run("window.isOld = true")
        self._tried(by)
        self.wait("window.isOld === undefined && document.readyState === 'complete'")

    def press_on(self, selector: str) -> None:
        """Click the middle of an element, scrolled to where it is seen."""
        self.run(f"void document.querySelector({json.dumps(selector)})?.scrollIntoView({{ block: 'nearest' }})")
        box = self.wait(
            f"(b => b.width && [b.x + b.width / 2, b.y + b.height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        self.click(*box)
