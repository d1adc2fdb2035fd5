"""What a user turn asks of the state: trackers, all of which see the same admissible values."""
