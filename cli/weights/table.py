"""What `cueline get` can fetch: each file with its address, its size and its checksum. Not: fetching.

The addresses are those that the projects document; the checksums are those that others who use the files publish.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is published."""

    name: str
    url: str
    size: int
    """Bytes."""
    sha256: str
    """Lower-case hexadecimal."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Files that belong together."""

    name: str
    """As `cueline get` knows it."""
    folder: str
    """In the data directory."""
    what: str
    licence: str
    use: str
    """How to start with it; `{folder}` is where the files are."""
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(file.size for file in self.files)


def _files(base: str, *files: tuple[str, int, str]) -> tuple[File, ...]:
    return tuple(File(name, f"{base}/{name}", size, sha256) for name, size, sha256 in files)


_KOKORO = "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0"
_PIPER = "https://huggingface.co/rhasspy/piper-voices/resolve/main/en"
_WHISPER = "https://huggingface.co/Systran/faster-whisper-small/resolve/536b0662742c02347bc0e980a01041f333bce120"
_SMOLLM2 = "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct/resolve/12fd25f77366fa6b3b4b768ec3050bf629380bac"
_WITH_PIPER = "CUELINE_TTS_ENGINE=piper make run"

TABLE = {
    one.name: one
    for one in (
        Weights(
            "kokoro",
            "kokoro",
            "54 natural voices, of which six languages are spoken here",
            "Apache-2.0",
            "CUELINE_TTS_ENGINE=kokoro make run",
            _files(
                _KOKORO,
                ("kokoro-v1.0.onnx", 325_532_387, "7d5df8ecf7d4b1878015a32686053fd0eebe2bc377234608764cc0ef3636a6c5"),
                ("voices-v1.0.bin", 28_214_398, "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d"),
            ),
        ),
        Weights(
            "piper",
            "piper",
            "one voice, American: lessac",
            "MIT; the recordings: Blizzard 2013, research",
            _WITH_PIPER,
            _files(
                f"{_PIPER}/en_US/lessac/medium",
                *(
                    (
                        "en_US-lessac-medium.onnx",
                        63_201_294,
                        "5efe09e69902187827af646e1a6e9d269dee769f9877d17b16b1b46eeaaf019f",
                    ),
                    (
                        "en_US-lessac-medium.onnx.json",
                        4_885,
                        "efe19c417bed055f2d69908248c6ba650fa135bc868b0e6abb3da181dab690a0",
                    ),
                ),
            ),
        ),
        Weights(
            "piper-alan",
            "piper",
            "one voice, British: alan",
            "MIT; see its MODEL_CARD",
            _WITH_PIPER,
            _files(
                f"{_PIPER}/en_GB/alan/medium",
                *(
                    (
                        "en_GB-alan-medium.onnx",
                        63_201_294,
                        "0a309668932205e762801f1efc2736cd4b0120329622adf62be09e56339d3330",
                    ),
                    (
                        "en_GB-alan-medium.onnx.json",
                        4_888,
                        "c0f0d124e5895c00e7c03b35dcc8287f319a6998a365b182deb5c8e752ee8c1e",
                    ),
                ),
            ),
        ),
        Weights(
            "smollm2",
            "smollm2",
            "a small language model that answers in English, on any processor",
            "Apache-2.0",
            "CUELINE_LLM=local make run",
            _files(
                _SMOLLM2,
                ("model.safetensors", 269_060_552, "5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c"),
                ("config.json", 861, "8eb740e8bbe4cff95ea7b4588d17a2432deb16e8075bc5828ff7ba9be94d982a"),
                ("generation_config.json", 132, "87b916edaaab66b3899b9d0dd0752727dff6666686da0504d89ae0a6e055a013"),
                ("tokenizer.json", 2_104_556, "9ca9acddb6525a194ec8ac7a87f24fbba7232a9a15ffa1af0c1224fcd888e47c"),
                ("tokenizer_config.json", 3_764, "4ec77d44f62efeb38d7e044a1db318f6a939438425312dfa333b8382dbad98df"),
                ("special_tokens_map.json", 655, "2b7379f3ae813529281a5c602bc5a11c1d4e0a99107aaa597fe936c1e813ca52"),
            ),
        ),
        Weights(
            "whisper",
            "whisper-small",
            "Whisper small, which hears 99 languages",
            "MIT",
            "CUELINE_STT_ENGINE=whisper CUELINE_WHISPER_MODEL={folder} make run",
            _files(
                _WHISPER,
                ("model.bin", 483_546_902, "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671"),
                ("config.json", 2_370, "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828"),
                ("tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
                ("vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
            ),
        ),
    )
}
