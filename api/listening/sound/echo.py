"""Echo: whether a microphone hears more than the reply that is playing beside it. Not: what it hears.

Speech of ours in the room is speech to every detector, however strict; only how loud we are tells it apart. The
level of the playback comes with each frame from clients that know it; for others it is reckoned from what was sent.
"""

from __future__ import annotations

import time
from collections import deque

from api.listening.sound.frames import QUIETEST_DBFS

MARGIN_DB = 5.0
"""More than what the room explains."""
GOING_ON_DB = 3.0
"""The same for somebody who speaks already."""
ROOM_FRAMES = 14
"""Nearly half a second: the delay of the sound and what the room adds."""
FIRST_COUPLING_DB = -12.0
"""Until it is known how much of the playback comes back: as in a room without any cancellation, nearly."""
KNOWN_FRAMES, LEARNT_FRAMES = 30, 320
"""From a second on it is known, and ten are remembered."""
LATE_FRAMES = 24
"""Who begins to speak is not taken for a louder echo before the reply has given way to them."""
LOUD_SHARE = 0.9
"""Of the frames that are remembered so many are softer than what counts as the echo's level."""
LEARN_EVERY = 4
HOLD_AFTER, HOLD_FRAMES = 2, 4
"""Who was louder than the echo for so many frames is heard for so many more: words have soft parts."""
SPEECH = 0.6
"""Probability of speech that is asked for while a reply plays."""


class EchoGate:
    """One microphone beside one speaker."""

    def __init__(self) -> None:
        self._playback: deque[float] = deque([QUIETEST_DBFS] * ROOM_FRAMES, ROOM_FRAMES)
        self._coupling_db = FIRST_COUPLING_DB
        self._late: deque[float] = deque()
        self._learnt: deque[float] = deque(maxlen=LEARNT_FRAMES)
        self._frames = 0
        self._louder = 0
        self._held = 0

    def is_open(self, mic_dbfs: float, playback_dbfs: float, *, is_speaking: bool) -> bool:
        """Whether this frame holds more than the echo. To be asked for every frame, in order."""
        self._playback.append(playback_dbfs)
        reference = max(self._playback)
        if reference <= QUIETEST_DBFS:
            return True
        self._learn(mic_dbfs - reference)
        excess = mic_dbfs - reference - self._coupling_db
        if excess > (GOING_ON_DB if is_speaking else MARGIN_DB):
            self._louder += 1
            self._held = HOLD_FRAMES if self._louder >= HOLD_AFTER else 0
            return True
        self._louder = 0
        self._held = max(self._held - 1, 0)
        return self._held > 0

    def _learn(self, coupling_db: float) -> None:
        """All frames teach, also those that were let through: an echo that has become louder must not stay speech."""
        self._late.append(coupling_db)
        if len(self._late) <= LATE_FRAMES:
            return
        self._learnt.append(self._late.popleft())
        self._frames += 1
        if len(self._learnt) >= KNOWN_FRAMES and self._frames % LEARN_EVERY == 0:
            self._coupling_db = sorted(self._learnt)[int(LOUD_SHARE * len(self._learnt))]


class Playback:
    """What the speaker beside a microphone plays, reckoned from what was sent to it."""

    AHEAD_S, BEHIND_S = 0.1, 0.8
    """How far the client's speaker may be from our reckoning."""
    STEP_S = 0.1

    def __init__(self) -> None:
        self._levels: deque[tuple[float, float]] = deque(maxlen=6000)
        """(when it ends, level) of each chunk; ten minutes."""
        self._until = 0.0

    def add(self, seconds: float, dbfs: float) -> None:
        """A chunk was sent."""
        self._until = max(self._until, time.monotonic()) + seconds
        self._levels.append((self._until, dbfs))

    def stop(self) -> None:
        """What was sent and has not sounded yet will not."""
        self._levels.clear()
        self._until = 0.0

    @property
    def is_playing(self) -> bool:
        """Whether something sounds, or may still."""
        return time.monotonic() < self._until + self.STEP_S

    def level_dbfs(self) -> float:
        """How loud it may be just now."""
        now = time.monotonic()
        while self._levels and self._levels[0][0] < now - self.BEHIND_S:
            self._levels.popleft()
        loudest = QUIETEST_DBFS
        for ends, dbfs in self._levels:
            if ends - self.STEP_S > now + self.AHEAD_S:
                break
            loudest = max(loudest, dbfs)
        return loudest
