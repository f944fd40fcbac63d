"""Model folders: networks behind routes, on whatever engine runs them."""
