"""worq and its peers side by side, in one run. Not part of the distribution; see README.md."""
