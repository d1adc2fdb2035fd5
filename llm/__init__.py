"""Tokens in, tokens out: the decoder, the text encoder and the protocol that others speak to them."""
