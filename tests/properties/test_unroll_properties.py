"""Unrolled graphs against separate texts, made with sets and loops."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from collegium.errors import DataError
from collegium.packing import pack
from collegium.unrolling import GraphTokens, TokenNode, Trees, unroll

Graph = list[TokenNode]


def random_graph(rng: random.Random, *, most: int = 9, merges: float = 0.35) -> Graph:
    """A DAG whose nodes are numbered at random."""
    n = rng.randint(1, most)
    links: list[list[int]] = [[]]
    for v in range(1, n):
        own = [rng.randrange(v)]
        if rng.random() < merges and v > 1:
            own += [p for p in {rng.randrange(v), rng.randrange(v)} if p != own[0]]
        links.append(own)
    number = list(range(n))
    if rng.random() < 0.5:
        rng.shuffle(number)
    graph: list[TokenNode | None] = [None] * n
    for v, parents in enumerate(links):
        graph[number[v]] = TokenNode(
            [rng.randrange(50) for _ in range(rng.randint(1, 5))],
            [number[p] for p in parents],
            rng.choice([0.0, 0.5, 1.0, 2.0]),
            rng.randrange(3),
        )
    return [node for node in graph if node is not None]


def texts(graph: Graph, mode: str) -> list[tuple[int, ...]]:
    """Every text that a node's context may be, as lists of nodes; all of them, not only longest."""
    done: list[int] = []
    while len(done) < len(graph):
        done.append(
            min(
                v
                for v in range(len(graph))
                if v not in done and all(p in done for p in graph[v].parents)
            )
        )
    above: dict[int, set[int]] = {}
    for v in done:
        above[v] = set().union(*[above[p] | {p} for p in graph[v].parents])
    if mode == "linear":
        return [tuple(u for u in done if u in above[v] or u == v) for v in done]
    found: dict[int, list[tuple[int, ...]]] = {}
    for v in done:
        parents = graph[v].parents[:1] if mode == "primary" else graph[v].parents
        found[v] = [(*path, v) for p in parents for path in found[p]] or [(v,)]
    return [path for v in done for path in found[v]]


def expected_edges(graph: Graph, mode: str, count: str) -> Counter:
    """(context, target, objective) to weight, context being all ids before the target."""
    prefixes = {text[:n] for text in texts(graph, mode) for n in range(1, len(text) + 1)}
    copies = Counter(prefix[-1] for prefix in prefixes)
    longest = [p for p in prefixes if not any(q != p and q[: len(p)] == p for q in prefixes)]
    edges: Counter = Counter()
    for prefix in prefixes:
        node = graph[prefix[-1]]
        before = [token for v in prefix[:-1] for token in graph[v].tokens]
        if count == "once":
            weight = node.weight / copies[prefix[-1]]
        else:
            weight = node.weight * sum(text[: len(prefix)] == prefix for text in longest)
        for place, token in enumerate(node.tokens):
            context = (*before, *node.tokens[:place])
            if context and weight:
                edges[context, token, node.objective] += weight
    return edges


def found_edges(trees: Trees, row: int) -> Counter:
    t = slice(*trees.token_offsets[row : row + 2].tolist())
    e = slice(*trees.edge_offsets[row : row + 2].tolist())
    ids, ends = trees.input_ids[t].tolist(), trees.subtree_end[t].tolist()
    positions, nodes = trees.position_ids[t].tolist(), trees.node_id[t].tolist()
    edges: Counter = Counter()
    columns = (trees.edge_src, trees.edge_target, trees.edge_objective, trees.edge_weight)
    for src, target, objective, weight in zip(*(c[e].tolist() for c in columns), strict=True):
        seen = [j for j in range(src + 1) if j <= src < ends[j]]
        assert [positions[j] for j in seen] == list(range(len(seen)))
        assert [nodes[j] for j in seen] == sorted(nodes[j] for j in seen)
        assert weight > 0
        edges[tuple(ids[j] for j in seen), target, objective] += weight
    return edges


def check(graphs: list[Graph], mode: str, count: str, capacity: int | None) -> int:
    trees = unroll(
        GraphTokens.from_nodes(graphs), mode=mode, count=count, capacity=capacity, skip_bad=True
    )  # type: ignore[arg-type]
    bad = {graph for graph, _ in trees.rejected}
    totals: dict[int, Counter] = {}
    for row, graph in enumerate(trees.graph.tolist()):
        totals.setdefault(graph, Counter()).update(found_edges(trees, row))
    sizes = trees.lengths
    if capacity is not None:
        assert not len(sizes) or sizes.max() <= capacity
    for number, graph in enumerate(graphs):
        longest = max(len(path_inputs(graph, text)) for text in texts(graph, mode))
        assert (number in bad) == (capacity is not None and longest > capacity)
        if number in bad:
            continue
        want = expected_edges(graph, mode, count)
        have = totals[number]
        assert set(want) == set(have)
        assert all(abs(want[key] - have[key]) < 1e-5 * max(1, want[key]) for key in want)
    return len(trees.rejected)


def path_inputs(graph: Graph, text: tuple[int, ...]) -> list[int]:
    """Input tokens of a text: the last token of a leaf is none, nor does it make a longest one."""
    ids = [token for v in text for token in graph[v].tokens]
    return ids[:-1] if len(text) > 1 else ids


def run(cases: int, seed: int) -> None:
    rng = random.Random(seed)
    rejected = 0
    for _ in range(cases // 10):
        graphs = [random_graph(rng) for _ in range(10)]
        capacity = rng.choice([None, 12, 20, 30])
        for mode in ("linear", "primary", "paths"):
            for count in ("once", "paths"):
                rejected += check(graphs, mode, count, capacity)
    assert rejected


def test_random_graphs_equal_their_texts() -> None:
    run(200, seed=0)


@pytest.mark.ci
def test_a_thousand_random_graphs_equal_their_texts() -> None:
    run(1_000, seed=1)


@pytest.mark.nightly
def test_ten_thousand_random_graphs_equal_their_texts() -> None:
    run(10_000, seed=2)


def test_weights_of_copies_sum_to_the_authored_weight() -> None:
    rng = random.Random(3)
    graphs = [random_graph(rng, most=14, merges=0.6) for _ in range(50)]
    tokens = GraphTokens.from_nodes(graphs)
    for mode in ("linear", "primary", "paths"):
        for capacity in (None, 40):
            trees = unroll(tokens, mode=mode, capacity=capacity, skip_bad=True)  # type: ignore[arg-type]
            bad = {graph for graph, _ in trees.rejected}
            row_graph = np.repeat(trees.graph, np.diff(trees.edge_offsets))
            sums = np.bincount(row_graph, trees.edge_weight, minlength=len(graphs))
            for number, graph in enumerate(graphs):
                root = next(node for node in graph if not node.parents)
                want = sum(len(node.tokens) * node.weight for node in graph) - root.weight
                if number not in bad:
                    assert sums[number] == pytest.approx(want, rel=1e-5)


def test_wide_graphs_use_several_words_of_bits() -> None:
    rng = random.Random(4)
    graphs = [random_graph(rng, most=100, merges=0.1) for _ in range(6)]
    for mode in ("linear", "primary"):
        check(graphs, mode, "once", None)


def test_trees_pack_into_rows_without_loss() -> None:
    rng = random.Random(5)
    graphs = [random_graph(rng) for _ in range(200)]
    trees = unroll(GraphTokens.from_nodes(graphs), capacity=64, skip_bad=True)
    sizes = trees.lengths[trees.lengths > 0]
    packing = pack(sizes, 64)
    assert np.bincount(packing.row_of, sizes).sum() == sizes.sum()
    assert np.bincount(packing.row_of, sizes).max() <= 64


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ([TokenNode([1], [1]), TokenNode([1], [0])], "node 0 is its own ancestor"),
        ([TokenNode([1]), TokenNode([1], [5])], "node 1 has the parent 5"),
        ([TokenNode([1]), TokenNode([1])], "nodes 0 and 1 both have no parents"),
        ([TokenNode([])], "node 0 has no tokens"),
        ([TokenNode([1], weight=float("nan"))], "node 0 has a weight"),
        ([TokenNode([1] * 9), TokenNode([1] * 9, [0])], "path to node 1 has 17 tokens"),
    ],
)
def test_bad_graphs_are_named(graph: Graph, message: str) -> None:
    tokens = GraphTokens.from_nodes([[TokenNode([1, 2])], graph])
    with pytest.raises(DataError, match=f"graph 1: .*{message}"):
        unroll(tokens, max_depth=16)
    trees = unroll(tokens, max_depth=16, skip_bad=True)
    assert [number for number, _ in trees.rejected] == [1]
