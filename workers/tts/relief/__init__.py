"""Relief: who speaks when an engine cannot, and with which of its voices. It knows no job and no queue.

chain.py     several engines as one, each standing in for those before it
watched.py   one engine alone, with a record of how it does
breaker.py   whether an engine that failed is asked again yet
roles.py     the starter cast's voices on any engine
"""
