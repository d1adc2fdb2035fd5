"""Tests of `llm.decoding`."""
