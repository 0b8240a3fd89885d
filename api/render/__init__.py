"""Batch render: a script in, a produced dialogue out. In the order in which a script travels it.

script.py    what is to be said, line by line
reading/     files and lists of people → a script; its __init__ lists the forms
casting.py   who speaks which part, with which voice; what is unknown, all at once
pieces.py    a line → pieces that an engine can speak at once
sound/       lines as they were spoken → one sound, laid out and levelled; its __init__ lists the files in path order
mastering.py a plan → a file, whole or not at all
subtitles.py a plan → captions and times
packing.py   a plan → every line as a file, and a manifest
"""
