"""Whole conversations against the real service."""
