"""Slow obvious twins and parity with outside references."""
