"""The only doubles in the tests, one file for each kind of thing that they stand for."""

from tests.fakes.azure import FakeAzure
from tests.fakes.engines import (
    CounterEngine,
    FickleEngine,
    RecallingEngine,
    ThreadedCounterEngine,
    WanderingEngine,
    counter_pcm,
    rendering_pcm,
)
from tests.fakes.language_model import EndlessModel
from tests.fakes.listening import BrokenRecognizer, HangingRecognizer, KeptLine, ScriptedRecognition, ScriptedRecording
from tests.fakes.local_server import LocalServer
from tests.fakes.minimax import FakeMiniMax
from tests.fakes.model_server import FakeModelServer
from tests.fakes.shelf import FakeShelf
from tests.fakes.speech_server import FakeSpeechServer
from tests.fakes.store import UnpluggedStore
from tests.fakes.supabase import FakeSignIn, FakeStorageServer

__all__ = [
    "BrokenRecognizer",
    "CounterEngine",
    "EndlessModel",
    "FakeAzure",
    "FakeMiniMax",
    "FakeModelServer",
    "FakeShelf",
    "FakeSignIn",
    "FakeSpeechServer",
    "FakeStorageServer",
    "FickleEngine",
    "HangingRecognizer",
    "KeptLine",
    "LocalServer",
    "RecallingEngine",
    "ScriptedRecognition",
    "ScriptedRecording",
    "ThreadedCounterEngine",
    "UnpluggedStore",
    "WanderingEngine",
    "counter_pcm",
    "rendering_pcm",
]
