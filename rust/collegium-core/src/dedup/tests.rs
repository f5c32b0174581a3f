mod exactness;

use super::{Dedup, Keys, Options, Reason, Rows, Scope, TokenIds, View, deduplicate};
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
