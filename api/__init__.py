"""The rim: settings, composition, HTTP, command line and the web page."""
