"""General-Bench as people have it: its tasks, its official workbooks and what the official ranker makes of them."""
