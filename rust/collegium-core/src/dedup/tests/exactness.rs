//! Against joins of all pairs, on random corpora.

use proptest::prelude::*;

use super::super::similarity::jaccard;
use super::super::{Dedup, Keys, Mode, Options, Scope, View, deduplicate};
use super::{A, rows, run};

/// The set of 3-grams of a text of one-letter words.
fn shingles(text: &str) -> Vec<u64> {
    let words: Vec<u64> = text.bytes().filter(|b| *b != b' ').map(u64::from).collect();
    let mut set: Vec<u64> = match words.len() {
        0..3 => vec![words.iter().fold(1 << 24, |all, w| (all << 8) | w)],
        _ => words
            .windows(3)
            .map(|w| (w[0] << 16) | (w[1] << 8) | w[2])
            .collect(),
    };
    set.sort_unstable();
    set.dedup();
    set
}

/// (keeper, similarity) of each row, every pair compared.
fn by_pairs(texts: &[String], ids: &[i64], threshold: f64, keep: usize) -> Vec<(usize, f64)> {
    let sets: Vec<Vec<u64>> = texts.iter().map(|t| shingles(t)).collect();
    let mut order: Vec<usize> = (0..texts.len()).collect();
    let unusual = |row: usize| !(32..=4096).contains(&texts[row].len());
    order.sort_by_key(|&row| (unusual(row), ids[row]));
    let mut centres: Vec<(usize, usize)> = Vec::new();
    let mut found: Vec<(usize, f64)> = (0..texts.len()).map(|row| (row, 1.0)).collect();
    for row in order {
        let mut best: Option<(f64, usize)> = None;
        for (place, &(centre, _)) in centres.iter().enumerate() {
            let similarity = jaccard(&sets[row], &sets[centre]);
            if similarity >= threshold && best.is_none_or(|(highest, _)| similarity > highest) {
                best = Some((similarity, place));
            }
        }
        match best {
            None => centres.push((row, 1)),
            Some((_, place)) if centres[place].1 < keep => centres[place].1 += 1,
            Some((similarity, place)) => found[row] = (centres[place].0, similarity),
        }
    }
    found
}

fn corpus(most: usize) -> impl Strategy<Value = Vec<String>> {
    let few = "([abc] ){1,12}";
    let longer = "([abcdefgh] ){15,40}";
    prop::collection::vec(
        prop_oneof![few, longer, "(a b c d e f g ){3,4}[xyz] [xyz]"],
        1..most,
    )
}

fn check(found: &Dedup, expected: &[(usize, f64)]) -> std::result::Result<(), TestCaseError> {
    for (row, &(keeper, similarity)) in expected.iter().enumerate() {
        prop_assert_eq!(found.kept_by[row] as usize, keeper);
        prop_assert_eq!(found.similarity[row], similarity as f32);
        prop_assert_eq!(found.keep[row], keeper == row);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn stars_are_exact(
        texts in corpus(90),
        twentieth in 4u32..=20,
        keep in 1i64..3,
        seed in 0i64..1000,
    ) {
        let threshold = f64::from(twentieth) / 20.0;
        let views: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
        let ids: Vec<i64> = (0..texts.len() as i64).map(|row| (row * 7919 + seed) % 997).collect();
        let answers = vec![A; texts.len()];
        let groups = vec![0; texts.len()];
        let mut all = rows(&views, &groups, &answers);
        all.ids = Some(Keys::Integers(&ids));
        let expected = by_pairs(&texts, &ids, threshold, keep as usize);
        for memory in [None, Some(1)] {
            let options = Options { threshold, keep, memory, ..Options::default() };
            let found = deduplicate(&all, &options).expect("valid");
            check(&found, &expected)?;
        }
        // LSH never merges what is not near enough, and names the similarity exactly.
        for memory in [None, Some(1)] {
            let options =
                Options { threshold, keep, memory, mode: Mode::Lsh, ..Options::default() };
            let found = deduplicate(&all, &options).expect("valid");
            for row in 0..texts.len() {
                let keeper = found.kept_by[row] as usize;
                prop_assert!(found.keep[keeper]);
                let similarity = jaccard(&shingles(&texts[row]), &shingles(&texts[keeper]));
                prop_assert!(similarity >= threshold);
                prop_assert_eq!(found.similarity[row], similarity as f32);
            }
        }
    }

    #[test]
    fn memory_changes_nothing(
        texts in prop::collection::vec(prop::option::of("([abcAB1é] ?){0,9}|\\PC{0,12}"), 0..60),
        groups in prop::collection::vec(0i64..3, 60),
        answers in prop::collection::vec(prop::option::of("[ab]"), 60),
        ids in prop::collection::vec(0i64..40, 60),
        quality in prop::collection::vec(prop_oneof![Just(f64::NAN), -1.0..1.0], 60),
        all_groups in any::<bool>(),
        lsh in any::<bool>(),
        diverse in 0i64..3,
        view in prop_oneof![Just(View::Words), Just(View::Chars), Just(View::Canonical)],
    ) {
        let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        let answers: Vec<Option<&str>> = answers.iter().map(Option::as_deref).collect();
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let count = texts.len();
        let mut all = rows(&texts, &groups[..count], &answers[..count]);
        all.quality = Some(&quality[..count]);
        all.ids = Some(if lsh { Keys::Texts(&names[..count]) } else { Keys::Integers(&ids[..count]) });
        let options = Options {
            threshold: 0.5,
            scope: if all_groups { Scope::All } else { Scope::Group },
            mode: if lsh { Mode::Lsh } else { Mode::Exact },
            diverse,
            view,
            ..Options::default()
        };
        let found = deduplicate(&all, &options).expect("valid");
        for memory in [1, 1 << 30] {
            let options = Options { memory: Some(memory), ..options.clone() };
            prop_assert_eq!(&deduplicate(&all, &options).expect("valid"), &found);
        }
    }

    #[test]
    fn any_bytes_are_taken(texts in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let texts: Vec<String> =
            texts.iter().map(|b| String::from_utf8_lossy(b).into_owned()).collect();
        let views: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
        for view in [View::Words, View::Chars, View::Canonical] {
            let options = Options { view, threshold: 0.3, ..Options::default() };
            let found = run(&views, &vec![None; views.len()], &options);
            for row in 0..views.len() {
                prop_assert!(found.keep[found.kept_by[row] as usize]);
                prop_assert!(found.similarity[row] >= 0.3);
            }
        }
    }
}

#[test]
fn lsh_finds_nearly_all_pairs_at_low_thresholds() {
    for (threshold, own) in [(0.1, 9), (0.04, 24)] {
        // Two 3-grams in common; 2 of 20, 2 of 50.
        let mut texts = Vec::new();
        for pair in 0..500 {
            for side in ["x", "y"] {
                let own: Vec<String> = (0..own).map(|n| format!("w{pair}{side}{n}")).collect();
                texts.push(format!(
                    "s{pair}a s{pair}b s{pair}c s{pair}d {}",
                    own.join(" ")
                ));
            }
        }
        let views: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
        let options = Options {
            threshold,
            mode: Mode::Lsh,
            ..Options::default()
        };
        let found = run(&views, &vec![A; views.len()], &options);
        let left = found.keep.iter().filter(|kept| **kept).count();
        assert!(left <= 505, "{left} of 500 at {threshold}");
    }
}

#[test]
fn a_tiny_threshold_asks_for_no_end_of_bands() {
    let texts: Vec<String> = (0..200).map(|n| format!("a b c d{n} e{n} f{n}")).collect();
    let views: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
    for threshold in [0.004, 1e-9, f64::MIN_POSITIVE] {
        let options = Options {
            threshold,
            mode: Mode::Lsh,
            ..Options::default()
        };
        let found = run(&views, &[A; 200], &options);
        assert_eq!(found.kept_by, [0; 200]);
    }
}

#[test]
fn blocks_change_nothing_in_large_classes() {
    // Stars of three rows and single ones, in an order in which blocks cut through most stars.
    let texts: Vec<String> = (0..1500_usize)
        .map(|row| {
            let (star, side) = (row % 600, row / 600);
            let words: Vec<String> = (0..18).map(|n| format!("w{star}x{n}")).collect();
            format!("the same start for all {} tail{side} end", words.join(" "))
        })
        .collect();
    let views: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
    for (mode, keep) in [(Mode::Exact, 1), (Mode::Exact, 2), (Mode::Lsh, 1)] {
        let options = Options {
            keep,
            mode,
            ..Options::default()
        };
        let answers = vec![A; views.len()];
        let whole = run(&views, &answers, &options);
        assert_eq!(
            whole.keep.iter().filter(|kept| **kept).count(),
            600 * keep as usize
        );
        for memory in [1, 1 << 20, 30 << 20] {
            let memory = Some(memory);
            let options = Options {
                memory,
                ..options.clone()
            };
            assert_eq!(run(&views, &answers, &options), whole);
        }
    }
}

#[test]
fn searches_end_early_only_where_nothing_nearer_can_come() {
    // The second centre is nearer to the last row than the first is, which has reached 0.5.
    let words: Vec<String> = (0..42).map(|n| format!("w{n}")).collect();
    let window = |from: usize, to: usize| words[from..to].join(" ");
    let mut texts = vec![window(0, 30), window(12, 42), window(9, 40)];
    // Enough others for an index to be used.
    texts.extend((0..50).map(|n| format!("other{n} text{n} here{n}")));
    let views: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
    for rows in [3, views.len()] {
        let options = Options {
            threshold: 0.45,
            ..Options::default()
        };
        let found = run(&views[..rows], &vec![A; rows], &options);
        assert_eq!(found.kept_by[..3], [0, 1, 1]);
    }
}

#[test]
fn lsh_finds_nearly_all_pairs_at_the_threshold() {
    // Pairs with 14 of 20 3-grams in common: J = 0.7 exactly.
    let mut texts = Vec::new();
    for pair in 0..3000 {
        let word = |side: &str, n: usize| format!("w{pair}{side}{n}");
        let shared: Vec<String> = (0..16).map(|n| word("s", n)).collect();
        for side in ["x", "y"] {
            let own: Vec<String> = (0..3).map(|n| word(side, n)).collect();
            texts.push(format!("{} {}", shared.join(" "), own.join(" ")));
        }
    }
    let views: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
    let options = |mode| Options {
        mode,
        ..Options::default()
    };
    let exact = run(&views, &vec![A; views.len()], &options(Mode::Exact));
    let pairs = exact.keep.iter().filter(|keep| !**keep).count();
    assert_eq!(pairs, 3000);
    let lsh = run(&views, &vec![A; views.len()], &options(Mode::Lsh));
    let found = lsh.keep.iter().filter(|keep| !**keep).count();
    assert!(found as f64 >= 0.995 * pairs as f64, "{found} of {pairs}");
}
