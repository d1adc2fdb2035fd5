"""Tests of `dialog`."""
