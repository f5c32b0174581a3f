"""What `benchmarks/run.py` can run: name -> module with `add_arguments(parser)` and `run(args)`.

`run` returns a JSON-able dict. Rivals that are not installed are named in it as absent; they are
listed in `benchmarks/requirements/<name>.txt`, never among the package's dependencies.
"""

from __future__ import annotations

BENCHMARKS: dict[str, str] = {
    "graph": "graph",
    "graphs_evidence": "graphs_evidence",
    "import": "import_time",
    "kernels": "kernel_losses",
    "tokenize": "tokenization",
    "training_rows": "training_rows",
    "kernels_aot": "kernels_aot",
    "dedup": "dedup",
}
