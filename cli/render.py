"""`cueline render`: a script in, sound files and subtitles out. Not: making them, which a server does."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from api.errors import ConversationError
from api.render.reading.kinds import read_script
from api.render.script import Script
from api.settings import SettingsError, read_settings
from cli.log import safe
from cli.main import SOUNDS
from cli.serving import CannotServe, served
from cli.settings import find_data_dir

SUBTITLES = ("srt", "vtt", "json")
LOOK_S = 0.25
TRIES = 5
"""Servers that may end under our hands before we give up."""
ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line says."""

    script: Path
    outputs: tuple[Path, ...]
    subtitles: tuple[Path, ...] = ()
    cast: tuple[str, ...] = ()
    """NAME=WHO each."""
    title: str = ""
    narrator: str = ""
    gap_ms: int | None = None
    keep: bool = False
    """Leave the render with the server, for its page."""


class CannotRender(Exception):
    """Why not, in one or more lines for a person."""


def render(wish: Wish) -> int:
    """Render; exit code 0, 1 if something could not be made, 2 if it makes no sense."""
    try:
        data_dir, settings = find_data_dir(os.environ), read_settings()
        _check_names(wish)
        script = read_script(wish.script.read_bytes(), wish.script.name, narrator=wish.narrator)
        order = _order(wish, script)
    except (SettingsError, CannotRender) as problem:
        return _complain(str(problem), 2)
    except ConversationError as error:
        return _complain("\n".join(_problems(wish.script, error)), 2)
    except OSError as error:
        return _complain(f"{wish.script}: {(error.strerror or str(error)).lower()}", 2)
    headers = {"Authorization": f"Bearer {settings.api_keys[0]}"} if settings.api_keys else {}
    try:
        with _sole_writer(data_dir, (*wish.outputs, *wish.subtitles)):
            _with_a_server(data_dir, headers, wish, order)
    except (CannotRender, CannotServe) as problem:
        return _complain(str(problem))
    except OSError as error:
        return _complain(f"{error.filename}: {(error.strerror or str(error)).lower()}")
    return 0


def _with_a_server(data_dir: Path, headers: dict[str, str], wish: Wish, order: dict[str, Any]) -> None:
    """Whatever server there is; another one if it goes away. What was made before is not made again."""
    for tries_left in reversed(range(TRIES)):
        try:
            with (
                served(data_dir, dict(os.environ)) as url,
                httpx.Client(base_url=url, headers=headers, timeout=ASK_S, follow_redirects=True) as client,
            ):
                _render(client, wish, order)
                return
        except httpx.TransportError as error:
            if not tries_left:
                raise CannotRender(f"the server went away: {error}") from error
            time.sleep(1)


def _render(client: httpx.Client, wish: Wish, order: dict[str, Any]) -> None:
    shown = _ask(client, "POST", "/api/renders", json=order)
    render_id = shown["id"]
    path = f"/api/renders/{render_id}"
    try:
        if shown["state"] in {"failed", "cancelled"}:
            _ask(client, "POST", f"{path}/retry")
        shown = _watch(client, path, shown["lines"])
        if shown["failed"] or shown["state"] != "done":
            raise CannotRender("\n".join(_failures(client, path)))
        _fetch(client, path, wish)
    except KeyboardInterrupt:
        with suppress(httpx.HTTPError, CannotRender):
            _ask(client, "POST", f"{path}/cancel")
        sys.stderr.write("cueline: stopped; the same command goes on where it was\n")
        raise
    if not wish.keep:
        _ask(client, "DELETE", path)


def _fetch(client: httpx.Client, path: str, wish: Wish) -> None:
    """Have every file made and written."""
    for output in wish.outputs:
        if sys.stderr.isatty():
            sys.stderr.write(f"producing {safe(str(output))}\n")
        form = output.suffix[1:].lower()
        _download(client, f"{path}/zip" if form == "zip" else f"{path}/audio?format={form}", output)
    for output in wish.subtitles:
        _download(client, f"{path}/subtitles.{output.suffix[1:].lower()}", output)


def _watch(client: httpx.Client, path: str, lines: int) -> dict[str, Any]:
    """Show how far it is until it has ended."""
    with tqdm(total=lines, unit="line", disable=None, dynamic_ncols=True) as bar:
        while True:
            shown: dict[str, Any] = _ask(client, "GET", f"{path}?lines=false")
            bar.update(shown["done"] + shown["failed"] - bar.n)
            words = [f"{shown['cached']} from the cache"] if shown["cached"] else []
            words += [f"{shown['failed']} failed"] if shown["failed"] else []
            words += [WAITING[shown["waiting"]]] if shown["waiting"] else []
            bar.set_postfix_str(", ".join(words))
            if shown["state"] != "rendering":
                return shown
            time.sleep(LOOK_S)


WAITING = {
    "talk": "waits while somebody talks",
    "busy": "waits for others",
    "workers": "waits for a worker",
    "queue": "waits for Redis",
    "store": "waits for the Store",
}


def _failures(client: httpx.Client, path: str) -> Iterator[str]:
    lines = [line for line in _ask(client, "GET", path)["script"] if line["state"] == "failed"]
    yield f"{len(lines)} lines could not be made; the same command tries them again:"
    for line in lines[:20]:
        yield f"  {line['line'] + 1} {line['speaker']}: {line['message']} ({line['code']})"


def _ask(client: httpx.Client, method: str, path: str, **options: Any) -> Any:
    answer = client.request(method, path, **options)
    if answer.status_code in {502, 503, 504}:
        raise httpx.TransportError(answer.text[:200])
    if answer.is_error:
        raise CannotRender(_refusal(answer))
    return answer.json() if answer.content else None


def _refusal(answer: httpx.Response) -> str:
    try:
        said = answer.json()
        problems = [f"line {one['line']}: {one['message']}" for one in said.get("problems", []) if one["line"]]
        return "\n".join(problems or [said["message"]])
    except (ValueError, KeyError, TypeError):
        return f"the server says {answer.status_code}"


def _download(client: httpx.Client, path: str, output: Path) -> None:
    """Whole or not at all."""
    fresh = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        with fresh.open("xb") as file, client.stream("GET", path, timeout=None) as answer:
            if answer.is_error:
                answer.read()
                raise CannotRender(_refusal(answer))
            for block in answer.iter_bytes():
                file.write(block)
        fresh.replace(output)
        sys.stdout.write(f"{output}: {output.stat().st_size} bytes\n")
    finally:
        fresh.unlink(missing_ok=True)


def _order(wish: Wish, script: Script) -> dict[str, Any]:
    cast = dict(_cast(one) for one in wish.cast)
    order: dict[str, Any] = {"title": wish.title or script.title, "script": script.to_rows(), "cast": cast}
    if wish.gap_ms is not None:
        order["gap_ms"] = wish.gap_ms
    places = [str(path.absolute()) for path in (*wish.outputs, *wish.subtitles)]
    content = json.dumps([order, places], sort_keys=True, ensure_ascii=True)
    return {**order, "key": hashlib.sha256(content.encode()).hexdigest()}


def _cast(wish: str) -> tuple[str, str]:
    name, sign, who = wish.partition("=")
    if not sign or not name.strip() or not who.strip():
        raise CannotRender(f"--cast {wish}: say NAME=CHARACTER or NAME=VOICE")
    return name.strip(), who.strip()


def _check_names(wish: Wish) -> None:
    for path, known in [(path, SOUNDS) for path in wish.outputs] + [(path, SUBTITLES) for path in wish.subtitles]:
        if path.suffix[1:].lower() not in known:
            raise CannotRender(f"{path}: its name must end in one of .{', .'.join(known)}")
        if not path.absolute().parent.is_dir():
            raise CannotRender(f"{path}: there is no such folder")
        if path.absolute() == wish.script.absolute():
            raise CannotRender(f"{path} is the script itself")


@contextmanager
def _sole_writer(data_dir: Path, paths: Sequence[Path]) -> Iterator[None]:
    """Nobody else writes these files meanwhile; the kernel lets go of them if we are killed. Raises: CannotRender."""
    folder = data_dir / "writing"
    folder.mkdir(mode=0o700, exist_ok=True)
    held = []
    try:
        for path in sorted({path.resolve() for path in paths}):
            file = (folder / hashlib.sha256(os.fsencode(path)).hexdigest()[:24]).open("w")
            held.append(file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CannotRender(f"another cueline render is writing {path}") from None
        yield
    finally:
        for file in held:
            file.close()


def _problems(script: Path, error: ConversationError) -> Iterator[str]:
    found = getattr(error, "problems", ())
    if not found:
        yield f"{script}: {error.text}"
    for source_line, text in found:
        yield f"{script}:{source_line}: {text}" if source_line else f"{script}: {text}"


def _complain(problem: str, code: int = 1) -> int:
    for line in problem.splitlines():
        sys.stderr.write(f"cueline: {safe(line)}\n")
    return code
