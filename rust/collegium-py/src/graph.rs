//! `unroll`.

use collegium_core::Error;
use collegium_core::graph::{self, Count, Graphs, Mode, Options};
use numpy::{IntoPyArray, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::door::enter;
use crate::error::from_core;

/// The trees of the graphs: arrays by name, `repeated` and `rejected`.
#[pyfunction]
#[pyo3(signature = (*, tokens, token_offsets, parents, parent_offsets, weight, objective, graph_offsets, mode, count, capacity, max_depth))]
#[allow(clippy::too_many_arguments)]
pub fn unroll<'py>(
    py: Python<'py>,
    tokens: PyReadonlyArray1<'py, i64>,
    token_offsets: PyReadonlyArray1<'py, i64>,
    parents: PyReadonlyArray1<'py, i64>,
    parent_offsets: PyReadonlyArray1<'py, i64>,
    weight: PyReadonlyArray1<'py, f32>,
    objective: PyReadonlyArray1<'py, i64>,
    graph_offsets: PyReadonlyArray1<'py, i64>,
    mode: &str,
    count: &str,
    capacity: usize,
    max_depth: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let unsupported = |name, value: &str, offered| {
        let value = value.to_owned();
        from_core(
            py,
            &Error::Unsupported {
                name,
                value,
                offered,
            },
        )
    };
    let options = Options {
        mode: match mode {
            "linear" => Mode::Linear,
            "primary" => Mode::Primary,
            "paths" => Mode::Paths,
            other => return Err(unsupported("mode", other, "linear, primary or paths")),
        },
        count: match count {
            "once" => Count::Once,
            "paths" => Count::Paths,
            other => return Err(unsupported("count", other, "once or paths")),
        },
        capacity,
        max_depth,
    };
    let tokens = tokens.to_vec()?;
    let token_offsets = token_offsets.to_vec()?;
    let parents = parents.to_vec()?;
    let parent_offsets = parent_offsets.to_vec()?;
    let weight = weight.to_vec()?;
    let objective = objective.to_vec()?;
    let graph_offsets = graph_offsets.to_vec()?;
    let trees = enter(py, || {
        let graphs = Graphs {
            tokens: &tokens,
            token_offsets: &token_offsets,
            parents: &parents,
            parent_offsets: &parent_offsets,
            weight: &weight,
            objective: &objective,
            graph_offsets: &graph_offsets,
        };
        graph::unroll(&graphs, &options)
    })?;
    let out = PyDict::new(py);
    out.set_item("graph", trees.graph.into_pyarray(py))?;
    out.set_item("token_offsets", trees.token_offsets.into_pyarray(py))?;
    out.set_item("input_ids", trees.input_ids.into_pyarray(py))?;
    out.set_item("position_ids", trees.position_ids.into_pyarray(py))?;
    out.set_item("node_id", trees.node_id.into_pyarray(py))?;
    out.set_item("subtree_end", trees.subtree_end.into_pyarray(py))?;
    out.set_item("node_offsets", trees.node_offsets.into_pyarray(py))?;
    out.set_item("node", trees.node.into_pyarray(py))?;
    out.set_item("edge_offsets", trees.edge_offsets.into_pyarray(py))?;
    out.set_item("edge_src", trees.edge_src.into_pyarray(py))?;
    out.set_item("edge_target", trees.edge_target.into_pyarray(py))?;
    out.set_item("edge_weight", trees.edge_weight.into_pyarray(py))?;
    out.set_item("edge_objective", trees.edge_objective.into_pyarray(py))?;
    out.set_item("repeated", trees.repeated)?;
    let rejected: Vec<(usize, String)> = trees
        .rejected
        .iter()
        .map(|entry| (entry.graph, entry.problem.to_string()))
        .collect();
    out.set_item("rejected", rejected)?;
    Ok(out)
}
