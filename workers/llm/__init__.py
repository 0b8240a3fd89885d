"""A language model of our own, for who has no other, in a process of its own. It knows no voice and no queue.

prompt.py    what of a conversation the model is given
local.py     the model
server.py    its doors, which are those of OpenAI's servers
"""
