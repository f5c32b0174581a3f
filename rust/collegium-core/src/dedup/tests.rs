use proptest::prelude::*;

use super::similarity::jaccard;
use super::{Dedup, Keys, Mode, Options, Reason, Rows, Scope, TokenIds, View, deduplicate};
use crate::Error;

fn rows<'a>(
    texts: &'a [Option<&'a str>],
    groups: &'a [i64],
    answers: &'a [Option<&'a str>],
) -> Rows<'a> {
    Rows {
        texts,
        groups: Keys::Integers(groups),
        answers,
        ids: None,
        verified: None,
        quality: None,
        teacher_rank: None,
        token_ids: None,
    }
}

fn run(texts: &[Option<&str>], answers: &[Option<&str>], options: &Options) -> Dedup {
    deduplicate(&rows(texts, &vec![0; texts.len()], answers), options).expect("valid")
}

const A: Option<&str> = Some("a");

#[test]
fn copies_and_near_copies_go() {
    let texts = [
        Some("one two three four five six seven eight nine ten"),
        Some("One, two, three: four five six seven eight nine ten!"),
        Some("one two three four five six seven eight nine eleven"),
        Some("something else"),
    ];
    let found = run(&texts, &[A; 4], &Options::default());
    assert_eq!(found.keep, [true, false, false, true]);
    assert_eq!(found.kept_by, [0, 0, 0, 3]);
    assert_eq!(found.similarity, [1.0, 1.0, 7.0 / 9.0, 1.0]);
    let (kept, exact, near) = (Reason::Kept, Reason::Exact, Reason::Near);
    assert_eq!(found.reason, [kept, exact, near, kept]);
}

#[test]
fn null_and_empty_texts_stay() {
    let texts = [None, None, Some(""), Some(""), Some(" \n"), Some(" \n")];
    let found = run(&texts, &[A; 6], &Options::default());
    assert_eq!(found.keep, [true; 6]);
    // Punctuation alone is a text.
    let found = run(
        &[Some("?!"), Some("..."), Some("?! ")],
        &[A; 3],
        &Options::default(),
    );
    assert_eq!(found.keep, [true, true, false]);
}

#[test]
fn answers_and_groups_keep_rows_apart() {
    let text = Some("the very same words here");
    let answers = [A, Some("b"), None, None, A];
    let texts = [text; 5];
    let mut all = rows(&texts, &[0, 0, 0, 0, 1], &answers);
    let found = deduplicate(&all, &Options::default()).expect("valid");
    assert_eq!(found.keep, [true, true, true, false, true]);
    all.groups = Keys::Texts(&["q", "q", "r", "q", "q"]);
    let found = deduplicate(&all, &Options::default()).expect("valid");
    assert_eq!(found.keep, [true, true, true, true, false]);
}

#[test]
fn numbers_guard_rows_without_an_answer() {
    let base = "we add the apples to the pears and then we get the total of";
    let texts = [
        format!("{base} 12"),
        format!("{base} 13"),
        format!("Step 1: {base} 12.0"),
    ];
    let views: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
    let found = run(&views, &[None; 3], &Options::default());
    assert_eq!(found.keep, [true, true, false]);
    assert_eq!(found.kept_by[2], 0);
    let found = run(&views, &[A; 3], &Options::default());
    assert_eq!(found.keep, [true, false, false]);
}

#[test]
fn the_better_row_stays() {
    let text = Some("a b c d e");
    let texts = [text; 4];
    let mut all = rows(&texts, &[0; 4], &[A; 4]);
    all.ids = Some(Keys::Texts(&["d", "c", "b", "a"]));
    let keeper = |rows: &Rows<'_>| {
        let found = deduplicate(rows, &Options::default()).expect("valid");
        found.kept_by[0]
    };
    assert_eq!(keeper(&all), 3);
    all.teacher_rank = Some(&[1, 1, 0, 2]);
    assert_eq!(keeper(&all), 2);
    all.quality = Some(&[f64::NAN, 0.5, 0.25, f64::NAN]);
    assert_eq!(keeper(&all), 1);
    all.verified = Some(&[true, false, false, false]);
    assert_eq!(keeper(&all), 0);
}

#[test]
fn several_rows_of_a_cluster_can_stay() {
    let text = Some("a b c d e");
    let options = Options {
        keep: 2,
        ..Options::default()
    };
    let found = run(&[text, text, text, Some("other")], &[A; 4], &options);
    assert_eq!(found.keep, [true, true, false, true]);
    assert_eq!(found.kept_by, [0, 1, 0, 3]);
}

#[test]
fn diverse_rows_are_far_apart() {
    let texts = [
        Some("a b c d e f"),
        Some("a b c d x y"),
        Some("p q r s t u"),
        Some("a b c d e f"),
        Some("p q r s v w"),
    ];
    let options = Options {
        diverse: 2,
        ..Options::default()
    };
    let found = run(&texts, &[A; 5], &options);
    assert_eq!(found.keep, [true, false, true, false, false]);
    assert_eq!(found.kept_by, [0, 0, 2, 0, 2]);
    assert_eq!(found.reason[1], Reason::Diverse);
    assert_eq!(found.reason[3], Reason::Exact);
    assert_eq!(found.similarity[1], (2.0_f64 / 6.0) as f32);
}

#[test]
fn other_views() {
    let texts = [
        Some("日本語の文章です"),
        Some("日本語の文章です。"),
        Some("違う文"),
    ];
    let options = |view| Options {
        view,
        ..Options::default()
    };
    let found = run(&texts, &[A; 3], &options(View::Chars));
    assert_eq!(found.keep, [true, false, true]);

    let mut all = rows(&texts, &[0; 3], &[A; 3]);
    let tokens = TokenIds {
        ids: &[1, 2, 3, 4, 1, 2, 3, 4, 5],
        offsets: &[0, 4, 8, 9],
    };
    all.token_ids = Some(tokens);
    let found = deduplicate(&all, &options(View::Tokens)).expect("valid");
    assert_eq!(found.keep, [true, false, true]);
    assert!(deduplicate(&all, &options(View::Words)).is_err());
    all.token_ids = Some(TokenIds {
        offsets: &[0, 8, 4, 9],
        ..tokens
    });
    assert!(deduplicate(&all, &options(View::Tokens)).is_err());
    all.token_ids = None;
    assert!(deduplicate(&all, &options(View::Tokens)).is_err());
}

#[test]
fn what_does_not_fit_is_refused() {
    let texts = [A, A];
    let short = rows(&texts, &[0], &[A; 2]);
    let expected = Error::Length {
        name: "groups",
        found: 1,
        expected: 2,
    };
    assert_eq!(deduplicate(&short, &Options::default()), Err(expected));
    for (threshold, keep, diverse) in [
        (0.0, 1, 0),
        (1.1, 1, 0),
        (f64::NAN, 1, 0),
        (0.5, 0, 0),
        (0.5, 1, -1),
    ] {
        let options = Options {
            threshold,
            keep,
            diverse,
            ..Options::default()
        };
        let found = deduplicate(&rows(&texts, &[0; 2], &[A; 2]), &options);
        assert!(matches!(found, Err(Error::Range { .. })));
    }
    assert!("fast".parse::<super::Mode>().is_err());
    assert!("question".parse::<super::Scope>().is_err());
    assert!("bytes".parse::<View>().is_err());
}

#[test]
fn across_groups_but_not_answers() {
    let text = Some("the very same words here");
    let texts = [text; 4];
    let options = Options {
        scope: Scope::All,
        ..Options::default()
    };
    let all = rows(&texts, &[0, 1, 2, 3], &[A, Some("b"), None, A]);
    let found = deduplicate(&all, &options).expect("valid");
    assert_eq!(found.kept_by, [0, 1, 2, 0]);
    // A choice of diverse rows is made in each group; a row follows its keeper's group.
    let texts = [
        Some("a b c d"),
        text,
        Some("a b c d e"),
        Some("a b c x y z"),
    ];
    let mut all = rows(&texts, &[0, 0, 1, 1], &[A; 4]);
    all.ids = Some(Keys::Integers(&[5, 1, 6, 7]));
    let options = Options {
        threshold: 0.6,
        diverse: 1,
        ..options
    };
    let found = deduplicate(&all, &options).expect("valid");
    assert_eq!(found.keep, [false, true, false, true]);
    assert_eq!(found.kept_by, [1, 1, 1, 3]);
}

#[test]
fn numbers_and_equations_in_one_spelling() {
    let texts = [
        Some("so we get 1,000 + 2.50 = 1002.5 in all"),
        Some("So we get 1000+2.5=1002.50 in all."),
        Some("so we get 1000 - 2.5 = 1002.5 in all"),
    ];
    let options = Options {
        view: View::Canonical,
        threshold: 1.0,
        ..Options::default()
    };
    let found = run(&texts, &[A; 3], &options);
    assert_eq!(found.keep, [true, false, true]);
    assert_eq!(found.reason[1], Reason::Exact);
    let found = run(
        &texts,
        &[A; 3],
        &Options {
            view: View::Words,
            ..options
        },
    );
    assert_eq!(found.keep, [true; 3]);
}

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
