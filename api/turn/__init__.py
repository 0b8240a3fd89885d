"""The data path of a turn, in the order in which a reply travels it.

utterance.py   what the person said, checked
session.py     who talks with whom: one turn at a time, many listeners
memory.py      what was said, and how much of it was heard
stage.py       where a turn is heard, and what it needs of its process
turn.py        one utterance and the whole reply
tokens.py      the language model's words, as they come
sentences.py   tokens → sentences fit to be spoken at once
spoken.py      a sentence as the engine should see it
dispatch.py    sentence → job; watches over it until it ends
reorder.py     chunks in any order → chunks in the order of speech
relay.py       reads the streams, reorders, hands to a sink
resume.py      what a listener missed that went away and came back
listeners.py   one log, many listeners, each with a place in it
"""
