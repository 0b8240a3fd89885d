"""The characters that people make: for themselves, beside those that are there from the start.

fields.py       what a character may consist of
characters.py   each owner's, found, made, changed and deleted
audition.py     one sentence in a voice that somebody considers
clips.py        recordings that voices may sound like, each owner's
clip_file.py    a recording made fit for that, in a process of its own
errors.py       what can be wrong with one
cards.py        character cards of other programs, and ours for them
"""
