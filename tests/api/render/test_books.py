"""Books: chapters, and paragraphs that a narrator reads."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import ScriptInvalid, ScriptTooLong
from api.render.reading.kinds import guess_kind, read_script
from api.render.script import MAX_LINE_CHARS, Script

TEXT = """A Tale

CHAPTER I
The Harbour

It was late in
the day.

"Who is there?" she
asked.

CHAPTER II

Part of the ship sank.
"""

MARKDOWN = """# A Tale

<!-- not
this -->
## The Harbour

It was *late* in
the day.

- One thing.
- Another thing.

---

The End
-------

Good night.
"""


def told(script: Script) -> list[tuple[str, str, int | None]]:
    return [
        (script.chapters[line.chapter] if script.chapters else "", line.text, line.pause_before_ms)
        for line in script.lines
    ]


def test_a_text_has_chapters_and_paragraphs() -> None:
    script = read_script(TEXT.encode(), "tale.txt")
    assert told(script) == [
        ("", "A Tale", None),
        ("CHAPTER I The Harbour", "CHAPTER I The Harbour", 1500),
        ("CHAPTER I The Harbour", "It was late in the day.", 800),
        ("CHAPTER I The Harbour", '"Who is there?" she asked.', None),
        ("CHAPTER II", "CHAPTER II", 1500),
        ("CHAPTER II", "Part of the ship sank.", 800),
    ]
    assert [line.source_line for line in script.lines] == [1, 3, 6, 9, 12, 14]
    assert {line.speaker for line in script.lines} == {"Narrator"}
    assert script.title == "tale"


def test_markdown_has_headings() -> None:
    script = read_script(MARKDOWN, "tale.md", narrator="Doran")
    assert told(script) == [
        ("A Tale", "A Tale", None),
        ("The Harbour", "The Harbour", 1500),
        ("The Harbour", "It was *late* in the day.", 800),
        ("The Harbour", "- One thing.", None),
        ("The Harbour", "- Another thing.", None),
        ("The End", "The End", 1500),
        ("The End", "Good night.", 800),
    ]
    assert {line.speaker for line in script.lines} == {"Doran"}


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("One line.\nAnother line.\n", ["One line.", "Another line."]),
        ("A line that is\nwrapped here.\nAnother line.\n", ["A line that is wrapped here.", "Another line."]),
        ("Long. " * 40 + "\n" + "More. " * 40, [("Long. " * 40).strip(), ("More. " * 40).strip()]),
        ("天黑了。\n他走了。", ["天黑了。", "他走了。"]),
        ("第一章 港口\n\n天黑了。", ["第一章 港口", "天黑了。"]),
    ],
)
def test_paragraphs_are_found_without_blank_lines(text: str, paragraphs: list[str]) -> None:
    assert [line.text for line in read_script(text, kind="book").lines] == paragraphs


def test_a_licence_around_a_book_is_not_read_out() -> None:
    text = (
        "The Project Gutenberg eBook\n\n*** START OF THE PROJECT GUTENBERG EBOOK TALE ***\n\nHello.\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK TALE ***\n\nDonate.\n"
    )
    script = read_script(text, kind="book")
    assert [(line.source_line, line.text) for line in script.lines] == [(5, "Hello.")]
    assert [one.source_line for one in script.skipped] == [1, 7]


def test_a_text_without_paragraphs_is_cut_between_sentences() -> None:
    text = "It was a long day and nobody came. " * 4000
    script = read_script(text, kind="book")
    assert max(len(line.text) for line in script.lines) <= MAX_LINE_CHARS
    assert all(line.text.endswith(".") for line in script.lines)
    assert " ".join(line.text for line in script.lines) == text.strip()


def test_prose_is_no_play() -> None:
    assert guess_kind(TEXT) == "book"
    assert (
        guess_kind('"Yes: that is all," he said.\nHe left. The reason: none.\nShe stayed.\nAnd so on.\nAnd on.')
        == "book"
    )


def epub(files: dict[str, str | bytes], spine: str = "", items: str = "", compress: bool = True) -> bytes:
    container = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    package = (
        "<?xml version='1.0'?><package xmlns:dc='x'><metadata><dc:title>A Tale &amp; more</dc:title></metadata>"
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("OPS/book.opf", package)
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def book(*chapters: str, nav: str = "") -> bytes:
    files: dict[str, str | bytes] = {f"OPS/text/c {n}.xhtml": chapter for n, chapter in enumerate(chapters)}
    items = "".join(f'<item id="c{n}" href="text/c%20{n}.xhtml"/>' for n in range(len(chapters)))
    if nav:
        files["OPS/nav.xhtml"] = nav
        items += '<item id="nav" href="nav.xhtml" properties="nav"/>'
    spine = '<itemref idref="nav"/>' + "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    return epub(files, spine, items)


def test_an_epub_is_read_in_the_order_of_its_spine() -> None:
    data = book(
        "<html><head><title>no</title></head><body><h1>One<br/>Harbour</h1><p>It was <i>late</i>&nbsp;in\nthe day."
        "<a epub:type='noteref' href='#n'>1</a></p><div>Two<p>Three</p>four</div><script>no()</script></body></html>",
        "<body><p class='title'>II</p><p>It was early.</p><aside epub:type='footnote'><p>no</p></aside></body>",
        nav="<nav epub:type='toc'><ol><li><a href='text/c%201.xhtml#x'>II.</a></li></ol></nav>",
    )
    script = read_script(data, "file.epub")
    assert script.title == "A Tale & more"
    assert told(script) == [
        ("One Harbour", "One Harbour", None),
        ("One Harbour", "It was late in the day.", 800),
        ("One Harbour", "Two", None),
        ("One Harbour", "Three", None),
        ("One Harbour", "four", None),
        ("II.", "II.", 1500),
        ("II.", "It was early.", 800),
    ]
    assert read_script(data) == read_script(data, "other.epub"), "known without its ending, and by its own title"


def test_an_epub_of_the_second_version_has_its_titles_too() -> None:
    ncx = (
        "<ncx><navMap><navPoint><navLabel><text>The Sea</text></navLabel><content src='a.html'/></navPoint>"
        "</navMap></ncx>"
    )
    items = '<item id="a" href="a.html"/><item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    data = epub({"OPS/a.html": "<p>Blue.</p>", "OPS/toc.ncx": ncx}, '<itemref idref="a"/>', items)
    assert told(read_script(data, "b.epub")) == [("The Sea", "The Sea", None), ("The Sea", "Blue.", 800)]


def test_entities_are_not_expanded_and_paths_do_not_leave_the_archive() -> None:
    bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><p>x &b; y</p>"
    items = '<item id="a" href="../../../../etc/passwd"/><item id="b" href="b.html"/>'
    data = epub({"OPS/b.html": bomb}, '<itemref idref="a"/><itemref idref="b"/>', items)
    assert "aaaa" not in " ".join(line.text for line in read_script(data, "b.epub").lines)


def test_an_epub_that_unpacks_to_too_much_is_refused() -> None:
    items = '<item id="a" href="a.html"/>'
    data = epub({"OPS/a.html": b"<p>" + b"a" * (20 << 20)}, '<itemref idref="a"/>', items)
    assert len(data) < 100_000
    with pytest.raises(ScriptTooLong):
        read_script(data, "bomb.epub")


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04", b"nothing", b"", epub({}), book("<p>Some words.</p>")[:-30]], ids=range(5)
)
def test_a_broken_epub_is_refused(data: bytes) -> None:
    with pytest.raises(ScriptInvalid):
        read_script(data, "x.epub")


@pytest.mark.parametrize("hostile", ["<a ", "<!--", "<![CDATA[", "<script>", "&#", "<p", "<a b='", "</"])
def test_markup_that_never_ends_is_read_to_its_end(hostile: str) -> None:
    script = read_script(book(f"<p>Before.</p>{hostile * 200_000}"), "x.epub")
    assert script.lines[0].text.startswith("Before.")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_damaged_epub_is_a_script_or_refused(data: st.DataObject) -> None:
    good = book("<h1>One</h1><p>It was late.</p>", "<p>Two.</p>", nav="<nav><a href='text/c%200.xhtml'>One</a></nav>")
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert read_script(bytes(bad), "x.epub").lines
    except ScriptInvalid as error:
        assert error.text


def test_a_damaged_epub_is_refused() -> None:
    data = bytearray(
        epub({"OPS/a.html": "<p>Words.</p>" * 200}, '<itemref idref="a"/>', '<item id="a" href="a.html"/>')
    )
    at = data.index(b"OPS/a.html") + 20
    data[at : at + 8] = b"\xff" * 8
    with pytest.raises(ScriptInvalid, match="broken"):
        read_script(bytes(data), "x.epub")
