"""Models whose verdict is known in advance, to check an evaluation with: null, chance, oracle and dispatcher."""
