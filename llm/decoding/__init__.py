"""One decoding step as phases over the logits of a row."""
