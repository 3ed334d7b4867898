"""Training: a recipe and two splits in, a run folder out."""
