"""Tests of `llm.decoding.search`."""
