//! The Jaccard index of sorted sets, and bounds that spare its computation.

/// Rounding in `threshold * size` must not make a bound too strict.
const SLACK: f64 = 1e-9;

/// |a ∩ b| / |a ∪ b| of two sets that are not empty.
#[cfg(test)]
pub(super) fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    // With nothing demanded, every value is computed.
    jaccard_at_least(a, b, 0.0).unwrap_or(0.0)
}

/// The index if it is at least `threshold`.
#[inline]
pub(super) fn jaccard_at_least(a: &[u64], b: &[u64], threshold: f64) -> Option<f64> {
    if !sizes_allow(a.len(), b.len(), threshold) {
        return None;
    }
    let total = a.len() + b.len();
    let needed = overlap(a.len(), b.len(), threshold);
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        if shared + (a.len() - i).min(b.len() - j) < needed {
            return None;
        }
        // Sixteen steps between two looks at the bound.
        let (a_end, b_end) = ((i + 16).min(a.len()), (j + 16).min(b.len()));
        while i < a_end && j < b_end {
            let (x, y) = (a[i], b[j]);
            shared += usize::from(x == y);
            i += usize::from(x <= y);
            j += usize::from(y <= x);
        }
    }
    let index = shared as f64 / (total - shared) as f64;
    (index >= threshold).then_some(index)
}

/// How many members two sets of these sizes must share to reach the threshold.
#[inline]
pub(super) fn overlap(a: usize, b: usize, threshold: f64) -> usize {
    (threshold / (1.0 + threshold) * (a + b) as f64 - SLACK).ceil() as usize
}

/// Whether sets of these sizes can reach the threshold.
#[inline]
pub(super) fn sizes_allow(a: usize, b: usize, threshold: f64) -> bool {
    a.min(b) as f64 >= threshold * a.max(b) as f64 - SLACK
}

/// How many of the first members of a set of `size` must be looked at: two sets that reach the
/// threshold share one among them.
pub(super) fn prefix(size: usize, threshold: f64) -> usize {
    let overlap = (threshold * size as f64 - SLACK).ceil().max(1.0) as usize;
    (size + 1).saturating_sub(overlap).min(size)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{jaccard, jaccard_at_least, overlap, prefix, sizes_allow};

    fn sets() -> impl Strategy<Value = (BTreeSet<u64>, BTreeSet<u64>)> {
        let set = || prop::collection::btree_set(0u64..60, 1..45);
        (set(), set())
    }

    proptest! {
        #[test]
        fn bounds_never_lose_a_pair((a, b) in sets(), tenth in 1u32..=10) {
            let threshold = f64::from(tenth) / 10.0;
            let shared = a.intersection(&b).count();
            let exact = shared as f64 / (a.len() + b.len() - shared) as f64;
            let x: Vec<u64> = a.into_iter().collect();
            let y: Vec<u64> = b.into_iter().collect();
            prop_assert_eq!(jaccard(&x, &y), exact);
            let expected = (exact >= threshold).then_some(exact);
            prop_assert_eq!(jaccard_at_least(&x, &y, threshold), expected);
            if expected.is_some() {
                prop_assert!(sizes_allow(x.len(), y.len(), threshold));
                prop_assert!(shared >= overlap(x.len(), y.len(), threshold));
                let heads = &x[..prefix(x.len(), threshold)];
                let others = &y[..prefix(y.len(), threshold)];
                prop_assert!(heads.iter().any(|number| others.contains(number)));
            }
        }
    }
}
