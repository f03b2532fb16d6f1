"""One Chromium for the whole run: Debian's, driven by playwright."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from exporter.local.processes import required


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=required("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()
