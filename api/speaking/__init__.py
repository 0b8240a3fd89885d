"""Text that a program wants to hear, without a conversation around it, on the queue and workers of a talk.

voices.py    whom a request names → a Voice
markup.py    pauses, speed, pitch and readings written into a text → passages
lexicon.py   words that are said otherwise than they are written
passages.py  passages → pieces fit to be spoken at once
reading.py   pieces → PCM in order, for one caller or for several who ask for the same
readings.py  which are under way
"""
