"""What holds for everything that can be generated, and what a library that nobody here wrote
makes of the same requests."""
