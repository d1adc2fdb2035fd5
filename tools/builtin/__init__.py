"""The tools that come with the program; each file makes one from what it needs."""
