"""One job in, chunks out. Knows no order of sentences, no socket, no browser."""
