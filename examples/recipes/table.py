"""The tables of README.md, from the facts in recipes.yaml: `python examples/recipes/table.py`."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
TITLES = {
    "level-1": "Level 1: specialists",
    "level-2": "Level 2: generalists without synergy",
    "level-3": "Level 3: synergy in comprehension or in generation",
    "level-4": "Level 4: synergy across comprehension and generation",
    "language": "Language, which level 5 weighs",
    "mmt-bench": "What the table of MMT-Bench adds",
    "relatives": "Relatives: not of the tutorial, and served",
}
BETWEEN = re.compile(r"(?<=<!-- tables -->\n).*?(?=<!-- end of tables -->)", re.DOTALL)


def tables(recipes: list[dict[str, Any]]) -> str:
    """Markdown, a table for each group and one of what is missing."""
    parts = []
    for group, members in groupby(recipes, key=lambda recipe: recipe["group"]):
        rows = [row(recipe) for recipe in members]
        parts.append(table(TITLES[group], ("system", "adapter", "weights", "calls", "executed", "note"), rows))
    gaps = [(recipe["system"], *gap(recipe["missing"])) for recipe in recipes if "missing" in recipe]
    parts.append(table("What is missing", ("system", "package", "why nothing here does it", "an adapter has to"), gaps))
    return "\n".join(parts)


def row(recipe: dict[str, Any]) -> tuple[str, ...]:
    """What a reader chooses by."""
    served = f"`{recipe['adapter']}`" if recipe["adapter"] else "none yet"
    if "server" in recipe:
        served += ", over " + recipe["server"].split()[0]
    where = recipe.get("test", "").rpartition("[")[2].rstrip("]")
    note = f"For {recipe['instead_of']}. " if "instead_of" in recipe else ""
    return (
        f"[{recipe['system']}]({recipe['settings']})",
        served,
        recipe["weights"],
        "; ".join(f"{call}: {', '.join(kinds['gives'])}" for call, kinds in recipe["supports"].items()),
        f"`{where}`" if where else "never",
        note + recipe.get("note", ""),
    )


def gap(missing: dict[str, str]) -> tuple[str, ...]:
    """Whose package does it, why we do not, and what would have to be written."""
    package = f"[{missing['package']}](https://github.com/{missing['package']})"
    return package, missing["why"], missing["adapter"]


def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A heading and its rows."""
    lines = (head, ("---",) * len(head), *rows)
    return f"## {title}\n\n" + "".join(f"| {' | '.join(cells)} |\n".replace("|  |", "| |") for cells in lines)


def rewritten(readme: str) -> str:
    """The README with its tables as the facts have them."""
    facts = yaml.safe_load((HERE / "recipes.yaml").read_text())
    made = f"\n{tables(facts['recipes'])}\n"
    return BETWEEN.sub(lambda _: made, readme)


if __name__ == "__main__":
    page = HERE / "README.md"
    page.write_text(rewritten(page.read_text()))
