"""Recordings in, transcripts out. Knows no session, no turn, no browser."""
