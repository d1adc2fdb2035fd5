"""Tokens in, tokens out: the decoder, the text encoder, and the protocol others speak to them."""
