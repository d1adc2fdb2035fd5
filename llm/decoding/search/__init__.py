"""Searches over several branches of one text, and the choice among finished samples."""
