"""What is ordered is made: each line once, whatever is said meanwhile, and no more than that."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import pytest

from tests.fakes import counter_pcm
from tests.harness import Stack, wait_until
from tests.render import asking
from tests.render.conftest import KEYS


def numbered(name: str, count: int) -> list[str]:
    return [f"{name} says line number {number}." for number in range(count)]


def test_a_script_becomes_lines_and_one_sound_and_is_deleted_whole(house: Stack) -> None:
    lines = numbered("Whole", 12)
    render = asking.order(house, lines, gap_ms=100)
    done = asking.wait_for(house, render)
    assert (done["done"], done["failed"], done["cached"]) == (12, 0, 0)
    asking.assert_intact(house, render, lines)
    assert {line["speaker"] for line in done["script"]} == {"Ava"}
    status, whole, _ = house.request("GET", f"/api/renders/{render}/audio?format=pcm")
    assert status == 200
    assert len(whole) > 12 * len(counter_pcm(lines[0])) * 0.5
    assert (house.folder / "renders" / render).is_dir()
    assert house.request("DELETE", f"/api/renders/{render}")[0] == 204
    assert not (house.folder / "renders" / render).exists()
    assert house.get(f"/api/renders/{render}")[1]["code"] == "render_unknown"
    assert render not in [one["id"] for one in house.get("/api/renders")[1]]


def test_each_line_is_one_event_and_who_comes_back_misses_none(house: Stack) -> None:
    render = asking.order(house, numbered("Event", 9))
    told: list[tuple[str, int]] = []
    for place, kind, message in asking.follow(house, render):
        if kind == "line":
            told.append((place, message["line"]))
        if len(told) == 4:
            break
    for place, kind, message in asking.follow(house, render, told[-1][0]):
        if kind == "line":
            told.append((place, message["line"]))
        elif message["state"] == "done":
            break
    assert sorted(line for _, line in told) == list(range(9))
    assert [int(place) for place, _ in told] == sorted({int(place) for place, _ in told})


def test_an_edited_script_makes_only_what_changed(house: Stack) -> None:
    lines = numbered("Edited", 8)
    asking.wait_for(house, asking.order(house, lines))
    lines[3] = "Edited is another line now."
    before = house.started()
    second = asking.wait_for(house, asking.order(house, lines))
    assert second["cached"] == 7
    assert [line["line"] for line in second["script"] if not line["cached"]] == [3]
    assert house.started() - before == {lines[3]: 1}


def test_one_line_is_changed_and_only_that_is_made_again(house: Stack) -> None:
    lines = numbered("Changed", 5)
    render = asking.order(house, lines)
    first = asking.wait_for(house, render)
    status, body, _ = house.request("PUT", f"/api/renders/{render}/lines/2", {"text": "Changed it is."})
    assert status == 202, body
    lines[2] = "Changed it is."
    wait_until(lambda: asking.shown(house, render)["script"][2].get("sha256"), "the changed line")
    again = asking.wait_for(house, render)
    asking.assert_intact(house, render, lines)
    same = [one["sha256"] == other["sha256"] for one, other in zip(first["script"], again["script"], strict=True)]
    assert same == [True, True, False, True, True]
    assert house.request("PUT", f"/api/renders/{render}/lines/9", {"text": "No."})[0] == 404


def test_a_line_that_fails_leaves_the_others_and_is_tried_again(house: Stack) -> None:
    lines = ["All is well.", "Now explode please.", "All is well again."]
    render = asking.order(house, lines)
    failed = asking.wait_for(house, render, "failed")
    assert [line["state"] for line in failed["script"]] == ["done", "failed", "done"]
    assert failed["script"][1]["code"] == "engine_failed"
    assert house.request("GET", f"/api/renders/{render}/lines/1/audio")[0] == 409
    before = house.started()
    assert house.post(f"/api/renders/{render}/retry")[0] == 202
    wait_until(lambda: house.started() - before, "another try")
    asking.wait_for(house, render, "failed")
    assert set(house.started() - before) == {lines[1]}


def test_what_is_cancelled_stops_and_goes_on_when_it_is_wanted_again(house: Stack) -> None:
    lines = [f"Cancelled line {number} is said slowly." for number in range(12)]
    render = asking.order(house, lines)
    wait_until(lambda: asking.shown(house, render)["done"] >= 1, "a first line")
    assert house.post(f"/api/renders/{render}/cancel")[1]["state"] == "cancelled"
    made = asking.shown(house, render)["done"]
    assert made < 12
    other = asking.order(house, ["Another one is made at once."])
    asking.wait_for(house, other)
    assert asking.shown(house, render)["done"] <= made + 1
    assert house.post(f"/api/renders/{render}/retry")[0] == 202
    asking.wait_for(house, render)
    asking.assert_intact(house, render, lines)


def test_a_short_render_does_not_wait_for_a_long_one(house: Stack) -> None:
    long = asking.order(house, [f"The long one says line {number} slowly." for number in range(30)])
    wait_until(lambda: asking.shown(house, long)["done"] >= 1, "the long one to begin")
    short = asking.order(house, numbered("Short", 5))
    asking.wait_for(house, short)
    assert asking.shown(house, long)["done"] < 20
    house.request("DELETE", f"/api/renders/{long}")


async def test_talk_waits_for_one_line_at_most_and_lines_say_that_they_wait(house: Stack) -> None:
    lines = [f"Behind talk line {number} is said slowly." for number in range(20)]
    render = await asyncio.to_thread(asking.order, house, lines)
    await asyncio.to_thread(wait_until, lambda: asking.shown(house, render)["done"] >= 1, "a first line")
    async with house.listen() as client:
        made = (await asyncio.to_thread(asking.shown, house, render))["done"]
        await client.send(type="chat", text="SAY " + "Talk goes first and is said slowly and with much care. " * 8)
        await client.until("sentence", state="speaking", sentence=0)
        assert (await asyncio.to_thread(asking.shown, house, render))["done"] <= made + 3
        waits = await asyncio.to_thread(
            wait_until, lambda: asking.shown(house, render)["waiting"] == "talk", "lines to say that they wait"
        )
        assert waits
        await client.until("turn", state="ended")
    await asyncio.to_thread(asking.wait_for, house, render)
    house.request("DELETE", f"/api/renders/{render}")


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
    house: Stack, order: dict[str, Any], code: str, told: list[int]
) -> None:
    before = [one["id"] for one in house.get("/api/renders")[1]]
    status, answer = house.post("/api/renders", order)
    if not code and status == 202:
        # What is left when control characters are taken out can be said.
        house.request("DELETE", f"/api/renders/{answer['id']}")
        return
    assert 400 <= status < 500, answer
    assert not code or answer["code"] == code
    assert sorted({one["line"] for one in answer.get("problems", []) if one["line"]} & set(told)) == told
    assert [one["id"] for one in house.get("/api/renders")[1]] == before


def test_a_disk_that_takes_nothing_fails_the_line_and_leaves_no_half_of_it(house: Stack) -> None:
    place = house.folder / "renders"
    shutil.rmtree(place)
    place.write_text("no folder")
    lines = numbered("Full disk", 3)
    render = asking.order(house, lines)
    failed = asking.wait_for(house, render, "failed")
    assert {line["code"] for line in failed["script"]} == {"disk_full"}
    place.unlink()
    assert house.post(f"/api/renders/{render}/retry")[0] == 202
    asking.wait_for(house, render)
    asking.assert_intact(house, render, lines)
    assert [path.name for path in (place / render).iterdir() if path.suffix != ".pcm"] == []


def test_a_render_belongs_to_who_ordered_it_and_the_same_key_is_the_same_render(house: Stack) -> None:
    guarded = house.another_api_with({"CUELINE_API_KEYS": ",".join(KEYS)})
    own, other = ({"Authorization": f"Bearer {key}"} for key in KEYS)
    try:
        guarded.wait_until_ready()
        order = {"script": "AVA: Mine alone.", "key": "one"}
        answers = [guarded.request("POST", "/api/renders", order, headers) for headers in (own, own, other)]
        assert [status for status, _, _ in answers] == [202] * 3
        first, again, others = (asking.json.loads(body)["id"] for _, body, _ in answers)
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
