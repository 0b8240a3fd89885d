"""What workers remember of voices, together: in Redis, which is all that those on other machines can reach.

said.py       what a voice has said last in a session, to go on from
anchorage.py  recordings that voices sound like, and what engines have made of them
anchors.py    the seconds of speech that a voice begins with, found or made once
"""
