"""What the documentation derives from the code and from the stored results."""
