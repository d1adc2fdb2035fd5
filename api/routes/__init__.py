"""The HTTP routes, one file a noun; each exports `router`."""
