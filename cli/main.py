"""The `cueline` command: reads its arguments and hands over. Not: the work, which is imported on demand."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from cli.commands import PROJECT_DIR

SOUNDS = ("wav", "mp3", "flac", "opus", "m4b", "zip")
"""What `cueline render` makes; a ZIP has each line as a file of its own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has gone; nothing more can be said, not even by Python's own farewell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    about = "Real-time voice chat whose speech is made by a job queue."
    parser = argparse.ArgumentParser(prog="cueline", description=about)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start Redis, speech workers, the api and Flower; Ctrl-C stops all")
    up.add_argument("--ready-within", type=float, default=60, metavar="S", help="give up after S seconds (60)")
    up.set_defaults(run=_up)

    restart = commands.add_parser("restart", help="replace workers and api of the running server, without a break")
    restart.set_defaults(run=_restart)

    doctor = commands.add_parser("doctor", help="what works here, and the command that mends what does not")
    doctor.set_defaults(run=_doctor)

    voices = commands.add_parser("voices", help="the voices that the running server offers, or one of them aloud")
    voices.add_argument("--url", default="", help="the server (default: the one running here)")
    voices.add_argument("--play", default="", metavar="NAME", help="hear it")
    voices.set_defaults(run=_voices)

    get = commands.add_parser("get", help="fetch voices and recognizers; without a name: list what there is")
    get.add_argument("name", nargs="*")
    get.set_defaults(run=_get)

    say = commands.add_parser("say", help="speak a text with the workers that run here")
    say.add_argument("text")
    say.add_argument("-o", "--output", default="", metavar="FILE.wav", help="write a file instead of playing")
    say.add_argument("--voice", default="", help="one of `cueline voices`")
    say.set_defaults(run=_say)

    render = commands.add_parser("render", help="make sound files and subtitles of a script or a book")
    render.add_argument("script", type=Path, help="a play (NAME: line), screenplay, subtitles, book or EPUB")
    files = f"FILE.({'|'.join(SOUNDS)})"
    render.add_argument("-o", "--output", type=Path, action="append", required=True, metavar=files)
    render.add_argument("--subtitles", type=Path, action="append", default=[], metavar="FILE.(srt|vtt|json)")
    render.add_argument("--cast", action="append", default=[], metavar="NAME=WHO", help="a character or a voice")
    render.add_argument("--narrator", default="", metavar="NAME", help="who reads what nobody says")
    render.add_argument("--title", default="")
    render.add_argument("--gap-ms", type=int, metavar="MS", help="silence between two lines (250)")
    render.add_argument("--keep", action="store_true", help="leave the render with the server, for its page")
    render.set_defaults(run=_render)

    bench = commands.add_parser("bench", help="measure; without a name: list what can be measured")
    bench.add_argument("name", nargs="?", default="")
    bench.add_argument("rest", nargs=argparse.REMAINDER, help="arguments of the measurement itself")
    bench.set_defaults(run=_bench)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when asked for it."""

    def __call__(self, *_: object) -> None:
        sys.stdout.write(f"cueline {version('cueline')}\n")
        sys.exit(0)


def _up(arguments: argparse.Namespace) -> int:
    from api.settings import SettingsError
    from cli.settings import load_dotenv, read_up_settings
    from cli.up import run_up

    load_dotenv(Path.cwd())
    try:
        settings = read_up_settings()
    except SettingsError as error:
        sys.stderr.write(f"cueline: {error}\n")
        return 2
    return run_up(settings, arguments.ready_within)


def _restart(arguments: argparse.Namespace) -> int:
    from api.settings import SettingsError
    from cli.restart import restart
    from cli.settings import find_data_dir, load_dotenv

    load_dotenv(Path.cwd())
    try:
        return restart(find_data_dir(os.environ))
    except SettingsError as error:
        sys.stderr.write(f"cueline: {error}\n")
        return 2


def _doctor(arguments: argparse.Namespace) -> int:
    from cli.doctor import run_doctor
    from cli.settings import load_dotenv

    load_dotenv(Path.cwd())
    return run_doctor()


def _voices(arguments: argparse.Namespace) -> int:
    from cli.settings import load_dotenv
    from cli.voices import show_voices

    load_dotenv(Path.cwd())
    return show_voices(arguments.url, arguments.play)


def _get(arguments: argparse.Namespace) -> int:
    from cli.settings import load_dotenv
    from cli.weights.get import get

    load_dotenv(Path.cwd())
    return get(arguments.name)


def _say(arguments: argparse.Namespace) -> int:
    from cli.say import say
    from cli.settings import load_dotenv

    load_dotenv(Path.cwd())
    return say(arguments.text, arguments.output, arguments.voice)


def _render(arguments: argparse.Namespace) -> int:
    from cli.render import Wish, render
    from cli.settings import load_dotenv

    load_dotenv(Path.cwd())
    return render(
        Wish(
            arguments.script,
            tuple(arguments.output),
            tuple(arguments.subtitles),
            tuple(arguments.cast),
            arguments.title,
            arguments.narrator,
            arguments.gap_ms,
            keep=arguments.keep,
        )
    )


def _bench(arguments: argparse.Namespace) -> int:
    """List the measurements, or become one, so that Ctrl-C reaches it and its exit code is ours."""
    names = sorted(path.stem for path in (PROJECT_DIR / "bench").glob("[!_]*.py"))
    if not arguments.name:
        sys.stdout.write("".join(f"{name}\n" for name in names) or "there is nothing to measure yet\n")
        return 0
    if arguments.name not in names:
        sys.stderr.write(f"cueline: there is no bench/{arguments.name}.py; try: {', '.join(names)}\n")
        return 2
    os.chdir(PROJECT_DIR)
    os.execv(sys.executable, [sys.executable, "-m", f"bench.{arguments.name}", *arguments.rest])  # noqa: S606
    raise AssertionError("exec does not return")


if __name__ == "__main__":
    sys.exit(main())
