"""One file a schema version, `vNNNN_what.py`; a file that was released is never changed."""
