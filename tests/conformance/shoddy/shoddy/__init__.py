"""A vendor's models, each with one fault."""
