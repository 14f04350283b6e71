"""Training runs and what became of them."""
