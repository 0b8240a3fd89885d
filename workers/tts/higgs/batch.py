"""The running batch: takes join it and leave it at any step. One thread owns network, slots and codec.

The host is one step behind the device: while it reads the codes of one step, the next is being made. Where a sentence
ends it has therefore made one row too many, which nobody looks at.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from contract.errors import EngineFailed, SpeechError, TextUnspeakable
from workers.tts.higgs.codec import Codec
from workers.tts.higgs.network.device_graph import mark, new_stream
from workers.tts.higgs.network.reader import Entry, Reader
from workers.tts.higgs.network.slots import Slots
from workers.tts.higgs.network.stepper import Step, Stepper
from workers.tts.higgs.network.transformer import Transformer
from workers.tts.higgs.prefixes import Prefixes
from workers.tts.higgs.take import End, Take
from workers.tts.higgs.tracks import Tracks
from workers.tts.higgs.window import COMMON_WIDTHS, Window, as_pcm

log = logging.getLogger(__name__)

PREFILL_TOKENS = 2048
"""Prompts read at once: so long do the others wait, some 20 ms on a large GPU."""
IDLE_S = 0.5
STOP_S = 10.0
"""So long a step may take at the end; one that takes longer hangs."""


@dataclass(frozen=True, slots=True)
class Options:
    """How large the batch is."""

    slots: int = 8
    positions: int = 2048
    prefix_bytes: int = 1 << 30
    exact: bool = True
    """The same samples for the same job whoever else is in the batch, on the same kind of device; slower for few."""


@dataclass(slots=True)
class _Sound:
    """Windows that are being decoded; or, without samples, the end of a take."""

    parts: list[tuple[Take, Window | None, End | None]]
    samples: torch.Tensor | None
    is_done: Any


class Batch:
    """Takes in, sound out."""

    def __init__(self, network: Transformer, codec: Codec, config: Any, options: Options) -> None:
        """`config` is that of transformers."""
        self._network, self._codec, self._config = network, codec, config
        self._on_gpu = network.device.type == "cuda"
        self._options = options
        self._waiting: deque[Take] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        self._prefixes = Prefixes(options.prefix_bytes)
        self._sounds: deque[_Sound] = deque()
        self._stream = new_stream() if self._on_gpu else None
        self._started: Step | None = None
        self.steps = 0
        """Made so far."""
        self.on_broken: Callable[[], None] = lambda: None
        """Called when nothing works any more: only another process can."""
        codec.warm_up(COMMON_WIDTHS)
        self._build(options.slots)

    @property
    def slot_count(self) -> int:
        """Takes that can be in the batch at once."""
        return self._slots.count

    def start(self) -> None:
        """Run in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._loop, name="higgs-batch", daemon=True)
        self._thread.start()
        # A thread inside torch when the interpreter goes would abort the process.
        atexit.register(self.stop)

    def stop(self) -> None:
        """End the thread; whoever still waits is told."""
        self._is_stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
        atexit.unregister(self.stop)

    def submit(self, take: Take) -> Take:
        """Let a take join as soon as there is a place.

        Raises: TextUnspeakable if it is too long for any place; EngineFailed if the batch has ended.
        """
        if len(take) > self._options.positions:
            raise TextUnspeakable("This sentence, with what goes before it, is too long for the voice model.")
        with self._lock:
            if self._is_stopping:
                raise EngineFailed("The voice model has been stopped.")
            self._waiting.append(take)
        self._wake.set()
        return take

    @torch.inference_mode()
    def turn(self) -> bool:
        """One round: let in, step, read the step before. False if nothing was left to do."""
        self._drop_cancelled()
        self._admit()
        started = self._start_step()
        before, self._started = self._started, started
        if before is not None:
            self._read(before)
        self._deliver(must_wait=started is None)
        return started is not None or before is not None or bool(self._sounds)

    def _build(self, count: int) -> None:
        config, options, network = self._config, self._options, self._network
        self._slots = Slots(config, count, options.positions, network.device, network.dtype)
        self._stepper = Stepper(
            network, self._slots, config.audio_stream_eos_id, use_graphs=self._on_gpu, one_size=options.exact
        )
        self._reader = Reader(network, self._slots, use_graphs=self._on_gpu and network.has_kernels)
        self._takes: list[Take | None] = [None] * count
        self._tracks = Tracks(count, options.positions, config.num_codebooks, config.audio_stream_bos_id,
                              config.audio_stream_eos_id)  # fmt: skip
        self._filled = np.zeros(count, np.int64)
        self._puts: dict[int, dict[str, float]] = {}
        self._started = None

    def _loop(self) -> None:
        is_broken = False
        try:
            while not self._is_stopping:
                self._go_on()
        except Exception:
            log.exception("the voice model's batch cannot go on")
            is_broken = True
        with self._lock:
            self._is_stopping = True
        self._end_all(EngineFailed("The voice model has been stopped."))
        if is_broken:
            self.on_broken()

    def _go_on(self) -> None:
        """A round, or what follows from its failure; raises what nothing can be done about."""
        try:
            if not self.turn() and not self._waiting:
                self._wake.wait(IDLE_S)
                self._wake.clear()
        except torch.OutOfMemoryError:
            self._shrink()
        except Exception as error:
            log.exception("the voice model's batch broke")
            self._end_all(EngineFailed(f"The voice model failed: {type(error).__name__}."))
            # After an illegal access no call to the device works until the process ends: then this raises.
            self._build(self.slot_count)

    def _drop_cancelled(self) -> None:
        for slot, take in enumerate(self._takes):
            if take is not None and take.is_cancelled:
                self._leave(slot)
                take.finish(End("cancelled", self._tracks.codes(slot)))

    def _next_waiting(self) -> Take | None:
        with self._lock:
            while self._waiting:
                take = self._waiting.popleft()
                if not take.is_cancelled:
                    return take
                take.finish(End("cancelled", self._tracks.no_codes()))
        return None

    def _admit(self) -> None:
        """Read the prompts of as many as there are places for, all in one pass."""
        free = [slot for slot, take in enumerate(self._takes) if take is None]
        if not free or not self._waiting:
            return
        entries: list[Entry] = []
        budget = PREFILL_TOKENS
        for slot in free:
            take = self._next_waiting() if budget > 0 else None
            if take is None:
                break
            self._takes[slot] = take  # from here on it is told if something breaks
            budget -= self._begin(slot, take, entries)
        packs = [[entry] for entry in entries] if self._options.exact else [entries]
        for pack in packs:
            if pack:
                self._reader.read(pack)

    def _begin(self, slot: int, take: Take, entries: list[Entry]) -> int:
        """Prepare a slot; how many tokens are to be read for it."""
        start, read = len(take.prefix), len(take.rest)
        key = take.prefix.key()
        if kept := self._prefixes.find(key):
            self._slots.copy_prefix(slot, *kept)
        else:
            self._reader.read([(slot, 0, take.prefix)])
            self._prefixes.keep(key, self._slots.take_prefix(slot, start))
            read += start
        entries.append((slot, start, take.rest))
        self._filled[slot] = start + len(take.rest)
        self._tracks.begin(slot, take.windows.wanted, take.most_frames)
        sampling = take.sampling
        self._puts[slot] = {
            "position": start + len(take.rest), "is_on": 1, "seed": take.seed, "temperature": sampling.temperature,
            "top_k": sampling.top_k, "top_p": sampling.top_p, "most_repeats": sampling.most_repeats or 1 << 30,
        }  # fmt: skip
        return read

    def _start_step(self) -> Step | None:
        if self._puts:
            self._slots.put(list(self._puts), list(self._puts.values()))
            self._puts.clear()
        takes = [(slot, take) for slot, take in enumerate(self._takes) if take is not None]
        if not takes:
            return None
        at = [slot for slot, _ in takes]
        self._filled[at] += 1
        self.steps += 1
        return self._stepper.start(takes, int(self._filled[at].max()))

    def _read(self, step: Step) -> None:
        """Take in the codes of a step, and have decoded what is enough to be heard."""
        codes = step.wait()
        listening = {slot: take for slot, take in step.takes if self._takes[slot] is take}
        if not listening:
            return
        at = np.array(list(listening), np.int64)
        due: dict[int, list[tuple[Take, Window, End | None, Any]]] = defaultdict(list)
        for slot, reason in self._tracks.add(at, codes[at]):
            take = listening[slot]
            window = take.windows.cut(self._tracks.frames(slot), is_last=bool(reason))
            end = End(reason, self._tracks.codes(slot)) if reason else None
            if window is None:
                self._sounds.append(_Sound([(take, None, end)], None, None))
            else:
                due[window.width].append((take, window, end, self._tracks.codes(slot, window.low, window.high)))
            if end is not None:
                self._leave(slot)
            else:
                self._tracks.want(slot, take.windows.wanted)
        for group in due.values():
            self._decode(group)

    def _decode(self, group: list[tuple[Take, Window, End | None, Any]]) -> None:
        parts: list[tuple[Take, Window | None, End | None]] = [(take, window, end) for take, window, end, _ in group]
        windows = [codes for *_, codes in group]
        if self._stream is None:
            self._sounds.append(_Sound(parts, self._codec.decode(windows), None))
            return
        with torch.cuda.stream(self._stream):
            made = self._codec.decode(windows)
            host = torch.empty(made.shape, dtype=made.dtype, pin_memory=True)
            host.copy_(made, non_blocking=True)
            done = mark()
        self._sounds.append(_Sound(parts, host, done))

    def _deliver(self, *, must_wait: bool) -> None:
        """Hand over, in order, what the codec has finished."""
        while self._sounds:
            sound = self._sounds[0]
            if sound.is_done is not None and not sound.is_done.query():
                if not must_wait:
                    return
                sound.is_done.synchronize()
            self._sounds.popleft()
            for number, (take, window, end) in enumerate(sound.parts):
                if window is not None and sound.samples is not None:
                    take.push(as_pcm(take.windows.take(window, sound.samples[number].numpy())))
                if end is not None:
                    take.push(as_pcm(take.windows.rest()))
                    take.finish(end)

    def _leave(self, slot: int) -> None:
        self._takes[slot] = None
        self._puts[slot] = {}

    def _end_all(self, error: SpeechError) -> None:
        with self._lock:
            waiting, self._waiting = list(self._waiting), deque()
        sounding = [take for sound in self._sounds for take, _, _ in sound.parts]
        self._sounds.clear()
        for take in (*sounding, *filter(None, self._takes), *waiting):
            take.finish(error)
        self._takes = [None] * len(self._takes)

    def _shrink(self) -> None:
        """Go on with half the places. Who has not been heard yet begins again, once."""
        again: list[Take] = []
        self._deliver(must_wait=True)
        for take in filter(None, self._takes):
            if take.is_retried or take.first_at or self.slot_count == 1:
                take.finish(EngineFailed("The device of the voice model is out of memory."))
            else:
                take.restart()
                again.append(take)
        with self._lock:
            self._waiting.extendleft(reversed(again))
        self._prefixes.clear()
        count = self.slot_count
        while True:
            count = max(1, count // 2)
            log.warning("the device is out of memory: %d places are left", count)
            self._slots = self._stepper = self._reader = None  # type: ignore[assignment]
            if self._on_gpu:
                torch.cuda.empty_cache()
            try:
                self._build(count)
                return
            except torch.OutOfMemoryError:
                if count == 1:
                    raise
