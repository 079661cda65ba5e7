"""Conformance suites that nobody here wrote, run against the example app.

The other test host is not for them: they send texts of their own making to every attribute
that ``/Schemas`` publishes, and its columns are narrow on purpose.
"""
