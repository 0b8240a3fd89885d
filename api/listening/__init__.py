"""Listening, in the order in which a sound travels it.

hearing.py        whether this server can listen at all
ear.py            one microphone, from frames to utterances
sound/            frames → 16 kHz → speech or not, ours or theirs, where it begins
saying.py         one utterance while it is being said
understanding.py  when its sound is looked at, and whether it was all
words/            sound → words, what is believed of them, what they do to a reply
line.py           to the session, wherever it is held
"""
