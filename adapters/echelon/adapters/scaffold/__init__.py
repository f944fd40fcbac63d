"""The beginning of a vendor's package: what `echelon adapters new` writes."""
