"""What the api and the workers agree on, byte for byte.

Standard library only. It must never open a connection, read the environment or know either side.
"""
