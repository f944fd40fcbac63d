"""Adapters that do the worst that a process can do."""
