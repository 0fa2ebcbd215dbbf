"""The conformance kit: what a backend's implementer runs to see that it keeps SPEC.md."""
