"""A room with a loudspeaker, a microphone and somebody who speaks into the reply: what the ear makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from api.admission import Pace
from api.listening.ear import Ear
from api.listening.sound.frames import level_dbfs
from api.listening.sound.vad import VadModel
from api.listening.words.barge_in import SUSTAINED_MS
from contract.transcribe import HEARING_RATE_HZ as RATE
from tests.speaking import PLAYING, Pcm, frame, level, spoken

Sound = npt.NDArray[np.float64]
USER_DBFS, PLAYBACK_DBFS = -23.0, -20.0
FRAME = RATE // 50
REPLY = (
    "A lighthouse keeper found a bottle on the rocks, with a note inside. It said only this: please turn the light a "
    "little to the left. She did, and for the first time in forty years a small boat came home by the shorter way. "
)
WORDS = (
    "stop please",
    "what time",
    "no no stop",
    "hello dragon",
    "music please",
    "thanks stop",
    "wait stop",
    "seven no",
)


@dataclass
class Attempts:
    """Stands where Understanding stands, and notes when somebody is taken to speak."""

    now: int = 0
    ducked: list[int] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    """In ms: when a sound began to be taken for speech, and when it had lasted."""
    current: object | None = None
    _voiced_ms: int = 0

    def begin(self, pre_roll: object, voiced_ms: int, *, is_barge_in: bool) -> None:
        assert is_barge_in
        self.current, self._voiced_ms = object(), voiced_ms
        self.ducked.append(self.now)

    def follow(self, pcm: bytes, level_dbfs: float, event: object, silence_ms: int) -> None:
        before = self._voiced_ms
        self._voiced_ms += 32 if silence_ms == 0 else 0
        if before < SUSTAINED_MS <= self._voiced_ms:
            self.heard.append(self.now)
        if silence_ms >= 480:
            self.current = None

    def complete(self) -> None:
        self.current = None

    def run(self, work: object) -> None:
        work.close()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Outcome:
    """Of one conversation in the room."""

    seconds: float
    onsets: list[int]
    attempts: Attempts

    def delays(self, within_ms: int = 1000) -> list[int]:
        """From each onset to its being heard, of those that were."""
        found = []
        for onset in self.onsets:
            after = [at - onset for at in self.attempts.heard if 0 <= at - onset <= within_ms]
            found += after[:1]
        return found

    @property
    def false_stops(self) -> int:
        """Taken for speech while nobody spoke."""
        return len([at for at in self.attempts.heard if not any(0 <= at - onset <= 2500 for onset in self.onsets)])


def scaled(sound: npt.NDArray[np.generic], dbfs: float) -> Sound:
    made: Sound = sound.astype(np.float64)
    made *= 10 ** ((dbfs - level(made)) / 20)
    return made


def echo_of(reply: Sound, delay_ms: int, echo_dbfs: float, seed: int) -> Sound:
    """The reply as the room gives it back: late, and with 150 ms of reverberation."""
    tail = np.random.default_rng(seed).standard_normal(RATE * 150 // 1000)
    tail *= np.exp(-np.arange(len(tail)) / (len(tail) / 6.9))
    size = 1 << (len(reply) + len(tail)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(reply, size) * np.fft.rfft(tail, size), size)[: len(reply)]
    late = np.concatenate((np.zeros(delay_ms * RATE // 1000), wet))[: len(reply)]
    return scaled(late, echo_dbfs)


def converse(model: VadModel, echo_db: float | None, delay_ms: int, seed: int) -> Outcome:
    """40 s of a reply, into which somebody speaks four times; `echo_db` is relative to them."""
    one = spoken(REPLY, "en-us+f3", rate=1.0, rate_hz=RATE)
    reply = scaled(np.tile(one, 1 + 40 * RATE // len(one))[: 40 * RATE], PLAYBACK_DBFS)
    random = np.random.default_rng(seed)
    mic = random.standard_normal(len(reply)) * 32_768 * 10 ** (-65 / 20)
    if echo_db is not None:
        mic += echo_of(reply, delay_ms, USER_DBFS + echo_db, seed)
    onsets = []
    for number in range(4):
        said = scaled(spoken(WORDS[(seed * 4 + number) % len(WORDS)], "en-gb", rate_hz=RATE), USER_DBFS)
        start = int((6 + 8 * number + random.uniform(0, 3)) * RATE)
        mic[start : start + len(said)] += said
        onsets.append(start * 1000 // RATE)
    heard: Pcm = np.clip(np.rint(mic), -32_768, 32_767).astype("<i2")
    return Outcome(40, onsets, listen(model, heard, reply))


def listen(model: VadModel, mic: Pcm, reply: Sound) -> Attempts:
    """What an ear takes for speech."""
    attempts = Attempts()
    ear = Ear(model, attempts, RATE)  # type: ignore[arg-type]
    # Forty seconds in one.
    ear._pace = Pace(1e6, 1e6)
    for number in range(len(mic) // FRAME):
        here = slice(number * FRAME, (number + 1) * FRAME)
        attempts.now = (number + 1) * 20
        loudness = max(0, min(255, round((level_dbfs((reply[here] / 32_768).astype(np.float32)) + 60) / 60 * 255)))
        ear.hear(frame(mic[here], PLAYING | loudness << 16))
    return attempts
