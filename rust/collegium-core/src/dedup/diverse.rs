//! The choice of a few rows that differ most.

use rustc_hash::FxHashMap;

use super::classes::{Decision, Source};
use super::hash::Key;
use super::sets::Sets;
use super::units::Reader;
use super::{Options, Reason};
use crate::error::Result;
use crate::parallel;

/// Of the rows with one group and answer that are kept so far, keep `options.diverse`: the best
/// one, then again and again the one whose greatest similarity with the chosen ones is least (the
/// better row among equals).
///
/// A row whose keeper goes is given the chosen row of its keeper's group that is most similar.
pub(super) fn choose(
    source: &impl Source,
    keyed: &[(Key, u32)],
    options: &Options,
    gone: Vec<Decision>,
) -> Result<Vec<Decision>> {
    let class: FxHashMap<u32, Key> = keyed.iter().map(|&(key, row)| (row, key)).collect();
    let mut left: FxHashMap<u32, Vec<Decision>> = FxHashMap::default();
    for decision in gone {
        left.entry(decision.keeper).or_default().push(decision);
    }
    let dropped: std::collections::HashSet<u32> = left
        .values()
        .flatten()
        .map(|decision| decision.row)
        .collect();
    let mut homes: FxHashMap<Key, Vec<u32>> = FxHashMap::default();
    for &(_, row) in keyed.iter().filter(|(_, row)| !dropped.contains(row)) {
        homes.entry(source.home(row)).or_default().push(row);
    }
    let mut homes: Vec<Vec<u32>> = homes.into_values().collect();
    homes.sort_unstable_by_key(|rows| rows.iter().min().copied());
    let decisions = parallel::map(&homes, |kept| {
        let mut kept = kept.clone();
        kept.sort_unstable_by(|&a, &b| source.by_worth(a, b));
        home(source, &kept, &left, &class, options)
    })?;
    Ok(decisions.into_iter().flatten().collect())
}

fn home(
    source: &impl Source,
    kept: &[u32],
    left: &FxHashMap<u32, Vec<Decision>>,
    class: &FxHashMap<u32, Key>,
    options: &Options,
) -> Vec<Decision> {
    let behind = |row: u32| left.get(&row).into_iter().flatten().copied();
    let wanted = usize::try_from(options.diverse).unwrap_or(usize::MAX);
    if kept.len() <= wanted {
        return kept.iter().flat_map(|&row| behind(row)).collect();
    }
    let mut reader = Reader::default();
    let mut sets = Sets::default();
    for &row in kept {
        sets.push(reader.read(source.content(row), options.view));
    }
    let mut rest: Vec<usize> = (1..kept.len()).collect();
    let mut chosen = vec![0];
    // Greatest similarity of each remaining row with a chosen one.
    let mut nearest = vec![0.0_f64; rest.len()];
    while chosen.len() < wanted {
        let latest = sets.get(chosen[chosen.len() - 1]);
        for (&row, highest) in rest.iter().zip(&mut nearest) {
            let similarity = sets.get(row).similarity(&latest, 0.0);
            *highest = highest.max(similarity.unwrap_or(0.0));
        }
        let farthest = (0..rest.len()).min_by(|&a, &b| nearest[a].total_cmp(&nearest[b]));
        let Some(place) = farthest else { break };
        chosen.push(rest.remove(place));
        nearest.remove(place);
    }
    chosen.sort_unstable();

    let mut decisions = Vec::new();
    let mut own = Sets::default();
    for (place, &row) in kept.iter().enumerate() {
        if chosen.binary_search(&place).is_ok() {
            decisions.extend(behind(row));
            continue;
        }
        for row in std::iter::once(row).chain(behind(row).map(|decision| decision.row)) {
            own.clear();
            own.push(reader.read(source.content(row), options.view));
            let set = own.get(0);
            let mut best: Option<Decision> = None;
            for &place in &chosen {
                let other = sets.get(place);
                let similarity = set.similarity(&other, 0.0).unwrap_or(0.0);
                if best.is_some_and(|known| similarity <= known.similarity) {
                    continue;
                }
                let keeper = kept[place];
                let reason = if similarity < options.threshold || class[&row] != class[&keeper] {
                    Reason::Diverse
                } else if set.sequence == other.sequence {
                    Reason::Exact
                } else {
                    Reason::Near
                };
                best = Some(Decision {
                    row,
                    keeper,
                    similarity,
                    reason,
                });
            }
            decisions.extend(best);
        }
    }
    decisions
}
