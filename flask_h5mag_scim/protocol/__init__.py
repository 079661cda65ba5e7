"""RFC 7643 and RFC 7644 as pure functions: no Flask, no SQLAlchemy."""
