"""Vectors and terms in, nearest keys out."""
