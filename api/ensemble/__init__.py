"""Several characters in one session.

playbill.py   who takes part in a session, and how it is set
told.py       what listeners are told of that
changing.py   what clients change of that, checked
order.py      who speaks next
dialogue.py   a turn's conversation as each of its speakers is told it
tags.py       a reply that speaks for several → whose words are whose
stretch.py    what one of them says on end
"""
