"""The memory at rest: conversations, messages and characters, for as long as nobody deletes them.

store.py     what a Store can do: five verbs, and the owner who is asked for in every one
sqlite.py    the default: one file in CUELINE_DATA_DIR, for the processes of one machine
supabase.py  the same in a Supabase project, for any number of machines
shelf.py     finished sound files: three verbs and an owner; a folder is the default
bucket.py    the same in a private bucket of that project, heard from addresses that work for a while
outbox.py    what waits to be written; talk never waits for it
usage.py     how much each owner has talked, by day
archive.py   what of a conversation is kept, and how it is found again
"""
