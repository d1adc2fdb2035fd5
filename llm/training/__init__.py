"""Training of the small heads that steer the decoder; the decoder itself stays as it is."""
