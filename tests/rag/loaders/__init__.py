"""Tests of rag/loaders."""
