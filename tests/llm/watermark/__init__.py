"""Tests of `llm.watermark`."""
