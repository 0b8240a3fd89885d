"""The conductor: sockets, order, text, people. Never loads a model."""
