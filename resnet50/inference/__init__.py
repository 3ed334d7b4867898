"""Using a trained classifier on files."""
