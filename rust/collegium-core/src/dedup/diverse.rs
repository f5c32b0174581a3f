//! The choice of a few rows that differ most.

use super::cluster::Fate;
use super::shingles::Shingles;
use super::similarity::jaccard;
use super::{Options, Reason, Units};

/// Of the rows kept so far keep `options.diverse`: the best one, then again and again the one
/// whose greatest similarity with the chosen ones is least (the better row among equals).
///
/// A dropped row whose keeper goes is given the chosen row most similar to it.
pub(super) fn choose(
    units: &Units,
    shingles: &Shingles,
    guards: &[u32],
    options: &Options,
    fates: &mut [Fate],
) {
    let mut rest: Vec<usize> = (0..units.len())
        .filter(|&row| fates[row].reason == Reason::Kept)
        .collect();
    let wanted = usize::try_from(options.diverse).unwrap_or(usize::MAX);
    if rest.len() <= wanted {
        return;
    }
    let mut chosen = vec![rest.remove(0)];
    // Greatest similarity of each remaining row with a chosen one.
    let mut nearest = vec![0.0_f64; rest.len()];
    while let Some(&latest) = chosen.last() {
        for (row, highest) in rest.iter().zip(&mut nearest) {
            *highest = highest.max(jaccard(shingles.row(*row), shingles.row(latest)));
        }
        if chosen.len() >= wanted {
            break;
        }
        let farthest = (0..rest.len()).min_by(|&a, &b| nearest[a].total_cmp(&nearest[b]));
        let Some(place) = farthest else { break };
        chosen.push(rest.remove(place));
        nearest.remove(place);
    }
    chosen.sort_unstable();

    let gone: Vec<bool> = (0..units.len())
        .map(|row| chosen.binary_search(&fates[row].keeper).is_err())
        .collect();
    for row in (0..units.len()).filter(|&row| gone[row]) {
        let mut fate: Option<Fate> = None;
        for &keeper in &chosen {
            let similarity = jaccard(shingles.row(row), shingles.row(keeper));
            if fate.is_none_or(|known| similarity > known.similarity) {
                fate = Some(Fate {
                    keeper,
                    similarity,
                    reason: reason(row, keeper, similarity, shingles, guards, options),
                });
            }
        }
        if let Some(fate) = fate {
            fates[row] = fate;
        }
    }
}

fn reason(
    row: usize,
    keeper: usize,
    similarity: f64,
    shingles: &Shingles,
    guards: &[u32],
    options: &Options,
) -> Reason {
    if similarity < options.threshold || guards[row] != guards[keeper] {
        Reason::Diverse
    } else if shingles.same_units(row, keeper) {
        Reason::Exact
    } else {
        Reason::Near
    }
}
