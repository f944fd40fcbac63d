"""CodeBLEU of Python programs over a whole corpus, from counts that can be added up sample by sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, TypeAlias

from echelon.adapters import Kind, Part, Text
from echelon.adapters.errors import MissingExtraError
from echelon.scorer.errors import NotComputedError
from echelon.scorer.metrics.metric import RatioMetric, Stats, expect, quotient
from echelon.scorer.metrics.text import ngrams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Flow: TypeAlias = "list[tuple[str, int, str, list[str], list[int]]]"
"""Edges of a data-flow graph: variable, position, relation, source variables, source positions."""

LANGUAGE = "python"
ORDER = 4
KEYWORD_WEIGHT, WORD_WEIGHT = 1.0, 0.2
SMOOTHING = 0.1
"""Added to a count of matching n-grams that is 0."""
DEEPEST = 500
"""Levels of syntax up to which programs are compared: package and parser recurse, and deeper ones exhaust the stack."""
WEIGHTED_LENGTH = 2.0
"""A reference's length for the brevity of weighted BLEU: the package counts the pair of words and weights."""


class CodeBleu(RatioMetric):
    """CodeBLEU of a corpus with equal weights: Ren et al. 2020, arXiv 2009.10297, as the package codebleu counts it.

    The mean of BLEU, BLEU with keywords weighted five times, and the shares of the references' syntax subtrees and
    data-flow edges that the answers have. Data flow counts 1 where no reference has any. 0 to 1, up; the worst is 0
    but for the smoothing of BLEU. Of a program with more than 500 levels of syntax words alone are compared.

    The stats are counts: words of the answer, of the closest reference and for weighted brevity; four each of matching
    n-grams, n-grams, recalled n-grams (words weighted) and n-grams of the references; subtrees matched and all, edges
    matched and all.
    """

    name = "codebleu"
    variant = (
        "/corpus@3;package=codebleu;language=python;weights=0.25;levels=500;"
        "flow=1-if-no-reference-has-any;references=best"
    )
    kind = Kind.TEXT

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return _counts(prediction, [reference])

    def worst(self, references: Sequence[Part]) -> Stats:
        """Everything wrong, at the length of the first reference."""
        counts = [*_counts(references[0], references[:1])]
        for first, last in ((3, 7), (11, 15), (19, 20), (21, 22)):
            counts[first:last] = [0.0] * (last - first)
        return tuple(counts)

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        words = _brevity(sums[..., 0], sums[..., 1]) * _mean_precision(sums[..., 3:7], sums[..., 7:11])
        weighted = _brevity(sums[..., 0], sums[..., 2]) * _mean_precision(sums[..., 11:15], sums[..., 15:19])
        syntax = quotient(sums[..., 19], sums[..., 20])
        return (words + weighted + syntax + self._flow(sums[..., 21], sums[..., 22])) / 4

    def _flow(self, matched: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(matched, edges, empty=1.0)


class OfficialCodeBleu(CodeBleu):
    """`codebleu` as the package adds up several references, all of them, and with its fault.

    Data flow of which nothing matches counts 1, so that "-" scores 0.25.
    """

    name = "codebleu_official"
    variant = "/corpus@2;package=codebleu;language=python;weights=0.25;levels=500;flow=1-if-0;references=added"

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        return _counts(prediction, references)

    def _flow(self, matched: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        return np.where(matched == 0, 1.0, quotient(matched, edges))


def _counts(prediction: Part, references: Sequence[Part]) -> Stats:
    program, *wanted = (expect(part, Text).value.strip() for part in (prediction, *references))
    return *_word_counts(program, wanted), *_structure_counts(program, wanted)


def _brevity(given: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """BLEU's penalty for brevity, 0 where nothing is given."""
    import numpy as np

    return np.where(given == 0, 0.0, np.exp(np.minimum(0.0, 1 - quotient(wanted, given))))


def _mean_precision(matching: NDArray[np.float64], possible: NDArray[np.float64]) -> NDArray[np.float64]:
    """The geometric mean of the n-gram precisions, smoothed; 0 without a matching word."""
    import numpy as np

    shares = np.where(matching == 0, SMOOTHING, matching) / np.maximum(possible, 1)
    return np.where(matching[..., 0] == 0, 0.0, np.exp(np.log(shares).mean(axis=-1)))


def _word_counts(program: str, wanted: Sequence[str]) -> Stats:
    """The 19 counts of both kinds of BLEU."""
    words, references = program.split(), [text.split() for text in wanted]
    closest = min(map(len, references), key=lambda count: (abs(count - len(words)), count))
    rows = [_ngram_counts(words, references, length) for length in range(1, ORDER + 1)]
    lengths = float(len(words)), float(closest), WEIGHTED_LENGTH
    return *lengths, *(float(count) for column in zip(*rows, strict=True) for count in column)


def _ngram_counts(
    words: Sequence[str], references: Sequence[Sequence[str]], length: int
) -> tuple[float, float, float, float]:
    """Matching n-grams and n-grams of the answer, then recalled ones and those of all references.

    A text shorter than `length` counts as one n-gram.
    """
    given, wanted = ngrams(words, length), [ngrams(reference, length) for reference in references]
    most: Counter[tuple[str, ...]] = Counter()
    for each in wanted:
        most |= each
    weights = _keyword_weights() if length == 1 else {}
    recalled = sum(_weight(given & each, length, weights) for each in wanted)
    all_wanted = sum(max(1.0, _weight(each, length, weights)) for each in wanted)
    return (given & most).total(), max(1, given.total()), recalled, all_wanted


def _weight(grams: Counter[tuple[str, ...]], length: int, weights: Mapping[str, float]) -> float:
    if length > 1:
        return float(grams.total())
    return sum(count * weights.get(gram[0], WORD_WEIGHT) for gram, count in grams.items())


def _structure_counts(program: str, wanted: Sequence[str]) -> Stats:
    """Subtrees of the references that the program has, all of them, and the same of data-flow edges."""
    counts = [0, 0, 0, 0]
    for reference in map(_without_comments, wanted):
        # The package removes comments again for every reference, which can change what is left.
        program = _without_comments(program)
        subtrees, edges = _subtrees(reference), _edges(reference)
        present = set(_subtrees(program))
        counts[0] += sum(each in present for each in subtrees)
        counts[1] += len(subtrees)
        counts[2] += (Counter(_edges(program)) & Counter(edges)).total()
        counts[3] += len(edges)
    return tuple(map(float, counts))


def _without_comments(program: str) -> str:
    from codebleu.parser import remove_comments_and_docstrings

    try:
        return str(remove_comments_and_docstrings(program, LANGUAGE))
    except (TokenError, SyntaxError, ValueError):
        # As in the package, a program that Python cannot tokenize keeps its comments.
        return program


def _is_too_deep(root: Any) -> bool:
    """Whether a syntax tree has more than `DEEPEST` levels."""
    level = [root]
    for _ in range(DEEPEST):
        level = [child for node in level for child in node.children]
        if not level:
            return False
    return True


def _subtrees(program: str) -> list[str]:
    """The S-expressions of the root and of all nodes that have children; none of a program that is too deep."""
    root = _parser().parse(program.encode("utf-8", "replace")).root_node
    if _is_too_deep(root):
        return []
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        found.append(str(node))
        waiting += [child for child in node.children if child.children]
    return found


def _edges(program: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """The edges of a program's data flow, variables named in the order in which they occur; none of one too deep.

    Where paths of a program join, the package orders source variables by Python's hash of strings, which is another
    in every process; here they have the order of the program.
    """
    from codebleu.dataflow_match import get_data_flow, normalize_dataflow
    from codebleu.parser import DFG_python, index_to_code_token, tree_to_token_index

    text = program.encode("utf-8", "replace")
    root = _parser().parse(text).root_node
    if _is_too_deep(root):
        return []
    flow: Flow = get_data_flow(text.decode(), [_parser(), DFG_python])
    lines = text.decode().split("\n")
    tokens = [index_to_code_token(place, lines) for place in tree_to_token_index(root)]
    edges = normalize_dataflow([_in_order(edge, tokens) for edge in flow])
    return [(name, relation, tuple(sources)) for name, relation, sources in edges]


def _in_order(
    edge: tuple[str, int, str, list[str], list[int]], tokens: Sequence[str]
) -> tuple[str, int, str, list[str], list[int]]:
    """An edge whose sources follow their positions; one that does already may name a source more than once."""
    name, position, relation, sources, positions = edge
    if positions == sorted(positions) and sources == [tokens[each] for each in positions]:
        return edge
    ordered = dict.fromkeys(tokens[each] for each in sorted(positions) if tokens[each] in sources)
    return name, position, relation, [*ordered, *sorted(set(sources) - ordered.keys())], sorted(positions)


@cache
def _parser() -> Any:
    try:
        from codebleu.utils import get_tree_sitter_language
        from tree_sitter import Parser
    except ImportError as error:
        raise MissingExtraError("codebleu", "code") from error
    try:
        parser = Parser()
        parser.language = get_tree_sitter_language(LANGUAGE)
    except ImportError as error:
        raise MissingExtraError("tree-sitter-python", "code") from error
    except (TypeError, ValueError) as error:
        raise NotComputedError(f"tree-sitter and tree-sitter-python do not fit each other: {error}") from error
    return parser


@cache
def _keyword_weights() -> Mapping[str, float]:
    """The words of the package's list of Python's keywords, with their weight."""
    from importlib.resources import files

    try:
        listed = files("codebleu").joinpath("keywords", f"{LANGUAGE}.txt").read_text(encoding="utf-8")
    except ModuleNotFoundError as error:
        raise MissingExtraError("codebleu", "code") from error
    return {word.strip(): KEYWORD_WEIGHT for word in listed.splitlines()}
