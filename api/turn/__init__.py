"""The data path of a turn, in the order in which a reply travels it.

utterance.py   what the person said, checked
stage.py       where a turn is heard, and what it needs of its process
turn.py        one utterance and the whole reply, whoever speaks in it (api/ensemble)
record.py      what Redis keeps of it, so that another process can go on
tokens.py      the language model's words, as they come
sentences.py   tokens → sentences fit to be spoken at once
speech.py      sentences → chunks in order, to be heard
spoken.py      a sentence as the engine should see it
dispatch.py    sentence → job; watches over it until it ends
reorder.py     chunks in any order → chunks in the order of speech
relay.py       follows the streams while they are written, reorders, hands to a sink
lasting.py     keeps the streams of a living turn from expiring
replay.py      reads them again, for whoever comes later
"""
