"""Measures chance: the score of the best blind answer, one that does not depend on what a sample shows."""
