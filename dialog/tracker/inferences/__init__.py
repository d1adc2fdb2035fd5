"""The pragmatic inferences: what is meant without being said, a finite list, one file each."""
