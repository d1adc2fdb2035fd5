"""The command line: `python -m api …`."""
