"""A vendor's models."""
