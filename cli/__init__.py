"""`cueline`: starts the processes and talks to them. Never loads a worker's code."""
