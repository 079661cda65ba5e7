"""The extension's own tables: tokens, identity providers, links, the log."""
