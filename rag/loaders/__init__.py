"""Bytes of one kind of file in, its text out."""
