"""Scripts as people bring them, one file per form.

kinds.py        which form a file has, and the door to the others
text.py         bytes → text, or why it is none
draft.py        a script being read: its lines, and everything that is wrong with it
cues.py         NAME (direction): text; pauses and chapters
plain.py        one `NAME: what they say` a line
markdown.py     the same with **NAMES**, headings and rules
fountain.py     screenplays
listed.py       JSON: a list, or an object a line
captions.py     SRT and WebVTT
book.py         a text of chapters and paragraphs
epub.py         the same from an EPUB
"""
