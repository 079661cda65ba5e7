"""The protocol on the host's models."""
