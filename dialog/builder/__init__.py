"""What the makers of bots work with: tests, replay, decision cards."""
