"""Sessions: who talks with whom, who listens, and what outlives a process.

sessions.py    those that this process has in hand
session.py     one conversation: one turn at a time, many listeners
orders.py      what a client asks for, done where the session is held
follower.py    keeps it up to date where another process holds it
listeners.py   one log, many listeners, each with a place in it
memory.py      what was said, and how much of it was heard
waking.py      brings back from the Store what Redis has forgotten
mirror.py      every message on its way into Redis
resume.py      what a listener missed that went away and came back
"""
