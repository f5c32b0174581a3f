"""Thought graphs: what a teacher knows about a problem beyond one line of reasoning.

Several ways to the answer, the mistakes that lie beside them with the reason why they are wrong,
alternatives that were considered, and metacognition: strategy, monitoring, evaluation.
"""

from collegium.graphs.draw import to_dot, to_mermaid
from collegium.graphs.files import from_table, graphs_of, read_graphs, to_table, write_graphs
from collegium.graphs.graph import Alternative, Answer, Edge, Node, Source, ThoughtGraph
from collegium.graphs.policy import BELUGA, POLICIES, Policy
from collegium.graphs.problem import Problem
from collegium.graphs.repair import Repaired, repair
from collegium.graphs.statistics import figures, summary
from collegium.graphs.structure import Structure, fingerprint
from collegium.graphs.validate import validate

__all__ = [
    "BELUGA",
    "POLICIES",
    "Alternative",
    "Answer",
    "Edge",
    "Node",
    "Policy",
    "Problem",
    "Repaired",
    "Source",
    "Structure",
    "ThoughtGraph",
    "figures",
    "fingerprint",
    "from_table",
    "graphs_of",
    "read_graphs",
    "repair",
    "summary",
    "to_dot",
    "to_mermaid",
    "to_table",
    "validate",
    "write_graphs",
]
