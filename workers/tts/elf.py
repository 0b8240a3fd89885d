"""Finds variables of a loaded library by the symbol table of its file. It must never know what they mean."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable
from pathlib import Path

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
MAGIC = b"\x7fELF\x02\x01"
"""64 bit, little-endian."""
SYMBOL_TABLE = 2


def find_ints(library: ctypes.CDLL, path: Path, anchor: str, names: Iterable[str]) -> dict[str, ctypes.c_int]:
    """Views of the library's C ints of these names, static ones included.

    `anchor` names an exported function, from whose address all others follow. Compilers decorate static
    names ("count.123", "function.count"); any dotted piece may match, if it does so once. Names not found are
    left out, and all of them where the file is stripped or no 64-bit little-endian ELF.
    """
    symbols = _read_symbols(path.read_bytes())
    if anchor not in symbols:
        return {}
    loaded_at = ctypes.cast(getattr(library, anchor), ctypes.c_void_p).value or 0
    base = loaded_at - symbols[anchor][0][0]
    found = {name: symbols.get(name, []) for name in names}
    return {
        name: ctypes.c_int.from_address(base + places[0][0])
        for name, places in found.items()
        if len(places) == 1 and places[0][1] == ctypes.sizeof(ctypes.c_int)
    }


def _read_symbols(file: bytes) -> dict[str, list[tuple[int, int]]]:
    """Every dotted piece of a symbol's name → (address, size) of each symbol that has it."""
    symbols: dict[str, list[tuple[int, int]]] = {}
    if not file.startswith(MAGIC):
        return symbols
    fields = HEADER.unpack_from(file)
    start, count = fields[6], fields[12]
    sections = [SECTION.unpack_from(file, start + number * SECTION.size) for number in range(count)]
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind != SYMBOL_TABLE:
            continue
        names_at = sections[link][4]
        for name_at, _, _, _, address, length in SYMBOL.iter_unpack(file[offset : offset + size]):
            begin = names_at + name_at
            name = file[begin : file.index(b"\0", begin)].decode("ascii", "replace")
            for piece in name.split("."):
                symbols.setdefault(piece, []).append((address, length))
    return symbols
