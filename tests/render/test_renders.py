"""What is ordered is made: each line once, whatever is said meanwhile, and no more than that."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import urllib.request
import zipfile
from typing import Any

import pytest

from tests.harness import Stack, wait_until
from tests.render import asking

KEYS = ("first-key-of-the-house", "second-key-of-the-house")


def numbered(name: str, count: int) -> list[str]:
    return [f"{name} says line number {number}." for number in range(count)]


def test_a_script_becomes_lines_and_one_sound_and_is_deleted_whole(stack: Stack) -> None:
    lines = numbered("Whole", 12)
    render = asking.order(stack, lines, gap_ms=100)
    done = asking.wait_for(stack, render)
    assert (done["done"], done["failed"], done["cached"]) == (12, 0, 0)
    asking.assert_intact(stack, render, lines)
    assert {line["speaker"] for line in done["script"]} == {"Ava"}
    (status, first, headers), (_, again, _) = (stack.request("GET", f"/api/renders/{render}/audio") for _ in range(2))
    assert (status, headers["content-type"]) == (200, "audio/wav")
    assert first == again
    plan = json.loads(stack.request("GET", f"/api/renders/{render}/manifest")[1])
    assert abs(len(first) - 44 - plan["duration_ms"] * 48) <= 48
    srt = stack.request("GET", f"/api/renders/{render}/subtitles.srt")[1].decode()
    assert srt.count("-->") == 12
    with zipfile.ZipFile(io.BytesIO(stack.request("GET", f"/api/renders/{render}/zip")[1])) as archive:
        assert sum(name.endswith(".wav") for name in archive.namelist()) == 12
    assert (stack.folder / "renders" / render).is_dir()
    assert stack.request("DELETE", f"/api/renders/{render}")[0] == 204
    assert not (stack.folder / "renders" / render).exists()
    assert stack.get(f"/api/renders/{render}")[1]["code"] == "render_unknown"
    assert render not in [one["id"] for one in stack.get("/api/renders")[1]]


def test_it_is_heard_while_later_lines_are_still_made(stack: Stack) -> None:
    render = asking.order(stack, [f"Heard line {number} is said slowly." for number in range(40)])
    with urllib.request.urlopen(f"{stack.url}/api/renders/{render}/audio?format=pcm", timeout=30) as answer:
        assert len(answer.read(48_000)) == 48_000
        assert asking.shown(stack, render)["state"] == "rendering"
        rest = answer.read()
    done = asking.wait_for(stack, render)
    plan = json.loads(stack.request("GET", f"/api/renders/{render}/manifest")[1])
    assert abs(48_000 + len(rest) - plan["duration_ms"] * 48) <= 48
    assert stack.request("GET", f"/api/renders/{render}/subtitles.srt")[0] == 200
    assert done["done"] == 40


def test_each_line_is_one_event_and_who_comes_back_misses_none(stack: Stack) -> None:
    render = asking.order(stack, numbered("Event", 9))
    told: list[tuple[str, int]] = []
    for place, kind, message in asking.follow(stack, render):
        if kind == "line":
            told.append((place, message["line"]))
        if len(told) == 4:
            break
    for place, kind, message in asking.follow(stack, render, told[-1][0]):
        if kind == "line":
            told.append((place, message["line"]))
        elif message["state"] == "done":
            break
    assert sorted(line for _, line in told) == list(range(9))
    assert [int(place) for place, _ in told] == sorted({int(place) for place, _ in told})


def test_one_line_is_changed_and_only_that_is_made_again(stack: Stack) -> None:
    lines = numbered("Changed", 5)
    render = asking.order(stack, lines)
    first = asking.wait_for(stack, render)
    status, body, _ = stack.request("PUT", f"/api/renders/{render}/lines/2", {"text": "Changed it is."})
    assert status == 202, body
    lines[2] = "Changed it is."
    wait_until(lambda: asking.shown(stack, render)["script"][2].get("sounds"), "the changed line")
    again = asking.wait_for(stack, render)
    asking.assert_intact(stack, render, lines)
    same = [one["sounds"] == other["sounds"] for one, other in zip(first["script"], again["script"], strict=True)]
    assert same == [True, True, False, True, True]
    assert stack.request("PUT", f"/api/renders/{render}/lines/9", {"text": "No."})[0] == 404


def test_a_line_that_fails_leaves_the_others_and_is_tried_again(stack: Stack) -> None:
    lines = ["All is well.", "Now explode please.", "All is well again."]
    render = asking.order(stack, lines)
    failed = asking.wait_for(stack, render, "failed")
    assert [line["state"] for line in failed["script"]] == ["done", "failed", "done"]
    assert failed["script"][1]["code"] == "engine_failed"
    assert stack.request("GET", f"/api/renders/{render}/lines/1/audio")[0] == 409
    before = stack.started()
    assert stack.post(f"/api/renders/{render}/retry")[0] == 202
    wait_until(lambda: stack.started() - before, "another try")
    asking.wait_for(stack, render, "failed")
    assert set(stack.started() - before) == {lines[1]}


def test_what_is_cancelled_stops_and_goes_on_when_it_is_wanted_again(stack: Stack) -> None:
    lines = [f"Cancelled line {number} is said slowly." for number in range(30)]
    render = asking.order(stack, lines)
    wait_until(lambda: asking.shown(stack, render)["done"] >= 1, "a first line")
    assert stack.post(f"/api/renders/{render}/cancel")[1]["state"] == "cancelled"
    made = asking.shown(stack, render)["done"]
    assert made < 30
    other = asking.order(stack, ["Another one is made at once."])
    asking.wait_for(stack, other)
    assert asking.shown(stack, render)["done"] <= made + 3
    assert stack.post(f"/api/renders/{render}/retry")[0] == 202
    asking.wait_for(stack, render)
    asking.assert_intact(stack, render, lines)


def test_a_short_render_does_not_wait_for_a_long_one(stack: Stack) -> None:
    long = asking.order(stack, [f"The long one says line {number} slowly." for number in range(30)])
    wait_until(lambda: asking.shown(stack, long)["done"] >= 1, "the long one to begin")
    short = asking.order(stack, numbered("Short", 5))
    asking.wait_for(stack, short)
    assert asking.shown(stack, long)["state"] == "rendering"
    stack.request("DELETE", f"/api/renders/{long}")


async def test_talk_waits_for_one_line_at_most_and_lines_say_that_they_wait(stack: Stack) -> None:
    lines = [f"Behind talk line {number} is said slowly." for number in range(40)]
    render = await asyncio.to_thread(asking.order, stack, lines)
    await asyncio.to_thread(wait_until, lambda: asking.shown(stack, render)["done"] >= 1, "a first line")
    async with stack.listen() as client:
        made = (await asyncio.to_thread(asking.shown, stack, render))["done"]
        # Each takes its worker two seconds, and three are asked for at once: lines have to wait.
        await client.send(type="chat", text="SAY " + "Talk goes first and lines come later, however many. " * 8)
        await client.until("sentence", state="speaking", sentence=2)
        assert (await asyncio.to_thread(asking.shown, stack, render))["done"] <= made + 9
        waits = await asyncio.to_thread(
            wait_until, lambda: asking.shown(stack, render)["waiting"] == "talk", "lines to say that they wait"
        )
        assert waits
        await client.until("turn", state="ended")
    await asyncio.to_thread(asking.wait_for, stack, render)
    stack.request("DELETE", f"/api/renders/{render}")


@pytest.mark.parametrize(
    ("order", "code", "told"),
    [
        ({"script": ""}, "script_empty", []),
        ({"script": [{"speaker": "Ava", "text": "Hi"}] * 100_000}, "script_too_long", []),
        ({"script": "AVA: " + "word " * 20_000}, "script_invalid", [1]),
        ({"script": "AVA: Hi.\nBOBBY: Ho.\nZED: Ha.\nBOBBY: Hu."}, "cast_unknown", [2, 3]),
        ({"script": "AVA: Hi.", "cast": {"AVA": {"voice": "nobody-has-this"}}}, "cast_unknown", [1]),
        ({"script": "AVA: \x00\x01\x02\x03\x04 binary \x00\x00"}, "", []),
        ({"script": "AVA: Hi.", "unheard_of": 1}, "message_invalid", []),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_made(
    stack: Stack, order: dict[str, Any], code: str, told: list[int]
) -> None:
    before = [one["id"] for one in stack.get("/api/renders")[1]]
    status, answer = stack.post("/api/renders", order)
    if not code and status == 202:
        # What is left when control characters are taken out can be said.
        stack.request("DELETE", f"/api/renders/{answer['id']}")
        return
    assert 400 <= status < 500, answer
    assert not code or answer["code"] == code
    assert sorted({one["line"] for one in answer.get("problems", []) if one["line"]} & set(told)) == told
    assert [one["id"] for one in stack.get("/api/renders")[1]] == before


def test_a_disk_that_takes_nothing_fails_the_line_and_leaves_no_half_of_it(stack: Stack) -> None:
    place = stack.folder / "renders"
    shutil.rmtree(place)
    place.write_text("no folder")
    lines = numbered("Full disk", 3)
    render = asking.order(stack, lines)
    failed = asking.wait_for(stack, render, "failed")
    assert {line["code"] for line in failed["script"]} == {"disk_full"}
    place.unlink()
    assert stack.post(f"/api/renders/{render}/retry")[0] == 202
    asking.wait_for(stack, render)
    asking.assert_intact(stack, render, lines)
    assert [path.name for path in (place / render).iterdir() if path.suffix != ".pcm"] == []


def test_a_render_belongs_to_who_ordered_it_and_the_same_key_is_the_same_render(stack: Stack) -> None:
    guarded = stack.another_api_with({"CUELINE_API_KEYS": ",".join(KEYS)})
    own, other = ({"Authorization": f"Bearer {key}"} for key in KEYS)
    try:
        guarded.wait_until_ready()
        order = {"script": "AVA: Mine alone.", "key": "one"}
        answers = [guarded.request("POST", "/api/renders", order, headers) for headers in (own, own, other)]
        assert [status for status, _, _ in answers] == [202] * 3
        first, again, others = (json.loads(body)["id"] for _, body, _ in answers)
        assert first == again != others
        for method, path, body in (
            ("GET", "", None),
            ("GET", "/audio", None),
            ("GET", "/events", None),
            ("GET", "/lines/0/audio", None),
            ("PUT", "/lines/0", {"text": "Stolen."}),
            ("POST", "/retry", {}),
            ("POST", "/cancel", {}),
            ("DELETE", "", None),
        ):
            assert guarded.request(method, f"/api/renders/{first}{path}", body, other)[0] == 404, path
        assert guarded.request("GET", f"/api/renders/{first}", None, own)[0] == 200
        assert guarded.request("GET", f"/api/renders/{first}")[0] == 401
    finally:
        assert guarded.api
        guarded.api.stop()
