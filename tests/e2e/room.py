"""A browser in a room: its microphone hears what a test lets somebody say there."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Browser, async_playwright

from contract.audio import SAMPLE_RATE_HZ
from tests.e2e.conftest import CHROMIUM, FLAGS


@asynccontextmanager
async def open_room(
    sound: np.ndarray[Any, np.dtype[np.int16]], path: Path, *, is_repeated: bool = False
) -> AsyncIterator[Browser]:
    """The sound begins when a page opens its microphone, and is heard once unless it is repeated."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"NO BROWSER at {CHROMIUM}")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        file.writeframes(sound.astype("<i2").tobytes())
    flags = [
        *FLAGS,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}{'' if is_repeated else '%noloop'}",
    ]
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield launched
        await launched.close()
