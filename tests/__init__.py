"""The test suite; its tree follows the source."""
