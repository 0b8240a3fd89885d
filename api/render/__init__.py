"""Batch render: a script in, a produced dialogue out. In the order in which a script travels it.

script.py      what is to be said, line by line
reading/       files and lists of people → a script; its __init__ lists the forms
casting.py     who speaks which part, with which voice; what is unknown, all at once
pieces.py      a line → pieces that an engine can speak at once
order.py       what somebody asks for: read, cast and checked whole
desk.py        what an owner may do with a render
renders.py     which renders are made in this process, and whose line is the next
making.py      one of them: what is missing, what is on its way
line_maker.py  one line, from the queue to its place at rest
take.py        what workers say of one piece
lending.py     the sound of lines, where other machines find it
library.py     renders at rest: rows in the Store, sound in files
sound/         lines as they were spoken → one sound, laid out and levelled; its __init__ lists the files in path order
files/         finished files of a render, made when they are asked for; its __init__ lists them
errors.py      what can go wrong with a render and its lines
"""
