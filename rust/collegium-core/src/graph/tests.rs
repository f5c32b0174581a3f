use super::*;

struct Given {
    tokens: Vec<i64>,
    token_offsets: Vec<i64>,
    parents: Vec<i64>,
    parent_offsets: Vec<i64>,
    weight: Vec<f32>,
    objective: Vec<i64>,
    graph_offsets: Vec<i64>,
}

/// The parents of a node and the number of its tokens.
type Node<'a> = (&'a [i64], i64);

/// One graph a list. Token ids count up.
fn given(graphs: &[&[Node<'_>]]) -> Given {
    let mut out = Given {
        tokens: Vec::new(),
        token_offsets: vec![0],
        parents: Vec::new(),
        parent_offsets: vec![0],
        weight: Vec::new(),
        objective: Vec::new(),
        graph_offsets: vec![0],
    };
    for graph in graphs {
        for (parents, length) in *graph {
            let next = out.tokens.len() as i64;
            out.tokens.extend(next..next + length);
            out.token_offsets.push(next + length);
            out.parents.extend_from_slice(parents);
            out.parent_offsets.push(out.parents.len() as i64);
            out.weight.push(1.0);
            out.objective.push(0);
        }
        out.graph_offsets.push(out.weight.len() as i64);
    }
    out
}

impl Given {
    fn view(&self) -> Graphs<'_> {
        Graphs {
            tokens: &self.tokens,
            token_offsets: &self.token_offsets,
            parents: &self.parents,
            parent_offsets: &self.parent_offsets,
            weight: &self.weight,
            objective: &self.objective,
            graph_offsets: &self.graph_offsets,
        }
    }
}

fn options(mode: Mode) -> Options {
    Options {
        mode,
        count: Count::Once,
        capacity: 1000,
        max_depth: 1000,
    }
}

const DIAMOND: &[Node<'_>] = &[(&[], 2), (&[0], 2), (&[0], 3), (&[1, 2], 2)];

#[test]
fn a_diamond_in_each_mode() {
    let diamond = given(&[DIAMOND]);
    let primary = unroll(&diamond.view(), &options(Mode::Primary)).expect("valid");
    assert_eq!(primary.node, [0, 1, 3, 2]);
    assert_eq!(primary.input_ids, [0, 1, 2, 3, 7, 4, 5]);
    assert_eq!(primary.position_ids, [0, 1, 2, 3, 4, 2, 3]);
    assert_eq!(primary.subtree_end, [7, 7, 5, 5, 5, 7, 7]);
    assert_eq!(primary.edge_src, [0, 1, 2, 3, 4, 1, 5, 6]);
    assert_eq!(primary.edge_target, [1, 2, 3, 7, 8, 4, 5, 6]);

    let linear = unroll(&diamond.view(), &options(Mode::Linear)).expect("valid");
    assert_eq!(linear.node, [0, 1, 2, 3, 2]);
    let paths = unroll(&diamond.view(), &options(Mode::Paths)).expect("valid");
    assert_eq!(paths.node, [0, 1, 3, 2, 3]);
    for trees in [&linear, &paths] {
        let total: f32 = trees.edge_weight.iter().sum();
        assert!((total - 8.0).abs() < 1e-6, "{total}");
    }
}

#[test]
fn any_numbering_gives_the_same_tree() {
    let ordered = given(&[DIAMOND]);
    let turned = given(&[&[(&[1, 2], 2), (&[3], 2), (&[3], 3), (&[], 2)]]);
    for mode in [Mode::Linear, Mode::Primary, Mode::Paths] {
        let a = unroll(&ordered.view(), &options(mode)).expect("valid");
        let b = unroll(&turned.view(), &options(mode)).expect("valid");
        assert_eq!(a.input_ids.len(), b.input_ids.len());
        assert!(b.rejected.is_empty());
    }
}

#[test]
fn a_long_graph_is_split_with_its_path_repeated() {
    let comb = given(&[&[(&[], 4), (&[0], 6), (&[0], 6), (&[0], 6)]]);
    let mut limits = options(Mode::Linear);
    limits.capacity = 14;
    let trees = unroll(&comb.view(), &limits).expect("valid");
    assert_eq!(trees.graph, [0, 0]);
    assert_eq!(trees.token_offsets, [0, 9, 23]);
    assert_eq!(trees.repeated, 4);
    assert_eq!(trees.edge_src.len(), 3 + 18);
    limits.capacity = 8;
    let trees = unroll(&comb.view(), &limits).expect("valid");
    assert_eq!(
        trees.rejected[0].problem,
        Problem::TooLong {
            node: 3,
            length: 9,
            capacity: 8
        }
    );
}

#[test]
fn what_is_wrong_is_named() {
    let cases: [(&[Node<'_>], Problem); 7] = [
        (&[], Problem::NoNodes),
        (&[(&[], 0)], Problem::EmptyNode(0)),
        (
            &[(&[], 1), (&[2], 1)],
            Problem::Dangling { node: 1, parent: 2 },
        ),
        (
            &[(&[], 1), (&[0, 0], 1)],
            Problem::RepeatedParent { node: 1, parent: 0 },
        ),
        (
            &[(&[], 1), (&[], 1)],
            Problem::SecondRoot {
                first: 0,
                second: 1,
            },
        ),
        (&[(&[0], 1)], Problem::Cycle(0)),
        (
            &[(&[], 1), (&[0, 2], 1), (&[1], 1), (&[2], 1)],
            Problem::Cycle(1),
        ),
    ];
    for (graph, problem) in cases {
        let input = given(&[&[(&[], 2)], graph]);
        let trees = unroll(&input.view(), &options(Mode::Linear)).expect("valid arrays");
        assert_eq!(trees.rejected.len(), 1);
        assert_eq!(trees.rejected[0].graph, 1);
        assert_eq!(trees.rejected[0].problem, problem);
        assert!(!problem.to_string().is_empty());
        assert_eq!(trees.graph, [0]);
    }
}

#[test]
fn too_deep_and_too_many() {
    let chain = given(&[&[(&[], 5), (&[0], 5)]]);
    let mut limits = options(Mode::Linear);
    limits.max_depth = 8;
    let trees = unroll(&chain.view(), &limits).expect("valid arrays");
    assert_eq!(
        trees.rejected[0].problem,
        Problem::TooDeep {
            node: 1,
            length: 9,
            limit: 8
        }
    );
    // 2^30 paths.
    let mut nodes: Vec<(Vec<i64>, i64)> = vec![(vec![], 1)];
    for level in 0..30 {
        let above = if level == 0 {
            vec![0]
        } else {
            vec![2 * level - 1, 2 * level]
        };
        nodes.push((above.clone(), 1));
        nodes.push((above, 1));
    }
    let graph: Vec<Node<'_>> = nodes.iter().map(|(p, n)| (p.as_slice(), *n)).collect();
    let input = given(&[&graph]);
    let trees = unroll(&input.view(), &options(Mode::Paths)).expect("valid arrays");
    assert!(matches!(trees.rejected[0].problem, Problem::TooMany(_)));
    let linear = unroll(&input.view(), &options(Mode::Linear)).expect("valid arrays");
    assert!(linear.rejected.is_empty());
}

#[test]
fn arrays_that_describe_no_graphs_are_refused() {
    let good = given(&[DIAMOND]);
    let mut bad = good.view();
    bad.graph_offsets = &[0, 3];
    assert!(unroll(&bad, &options(Mode::Linear)).is_err());
    let mut bad = good.view();
    bad.objective = &[0];
    assert!(unroll(&bad, &options(Mode::Linear)).is_err());
    let mut none = options(Mode::Linear);
    none.capacity = 0;
    assert!(unroll(&good.view(), &none).is_err());
}

#[test]
fn closures_of_any_width_agree() {
    for n in [1usize, 7, 64, 65, 128, 200] {
        let mut parents = Vec::new();
        let mut offsets = vec![0u32];
        for v in 1..=n {
            offsets.push(parents.len() as u32);
            if v < n {
                parents.push((v * 7 / 11) as u32);
                if v % 3 == 0 {
                    parents.push((v / 2) as u32);
                }
            }
        }
        // Node v has the links offsets[v]..offsets[v+1]; the root has none.
        let mut found = closure::Closure::default();
        found.append(&parents, &offsets, &vec![1u32; n]);
        let mut slow: Vec<std::collections::BTreeSet<usize>> = Vec::new();
        for v in 0..n {
            let mut own = std::collections::BTreeSet::from([v]);
            for &p in &parents[offsets[v] as usize..offsets[v + 1] as usize] {
                own.extend(slow[p as usize].iter().copied());
            }
            slow.push(own);
        }
        for (v, own) in slow.iter().enumerate() {
            let bits: Vec<usize> = closure::bits(found.of(v)).collect();
            assert_eq!(bits, own.iter().copied().collect::<Vec<_>>());
            let above = &parents[offsets[v] as usize..offsets[v + 1] as usize];
            let longest = above.iter().map(|&p| found.start[p as usize] + 1).max();
            assert_eq!(found.start[v], longest.unwrap_or(0));
        }
    }
}
