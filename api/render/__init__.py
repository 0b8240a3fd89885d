"""Batch render: a script in, a produced dialogue out. In the order in which a script travels it.

script.py    what is to be said, line by line
reading/     files and lists of people → a script; its __init__ lists the forms
casting.py   who speaks which part, with which voice; what is unknown, all at once
pieces.py    a line → pieces that an engine can speak at once
"""
