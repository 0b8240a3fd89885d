"""Who is asking: keys, a Supabase project's users, tickets and share links.

access.py  whose request this is
users.py   the users of a Supabase project, known by the tokens that it signs
shares.py  links to a session for those who only listen
"""
