"""The backends: a package or a module for each scheme of a URL."""
