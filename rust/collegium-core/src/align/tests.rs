//! Spans by hand; against the slow oracle they are tested from Python.

use super::{Alignment, Side, align};

fn side<'a>(name: &'static str, offsets: &'a [i64], lengths: &'a [u32]) -> Side<'a> {
    Side {
        name,
        offsets,
        byte_lengths: lengths,
        uncertain: &[],
        outside: &[],
    }
}

fn aligned(student: &[u32], teacher: &[u32], uncertain: &[i64], outside: &[i64]) -> Alignment {
    let ends = |lengths: &[u32]| [0, lengths.len() as i64];
    let (a, b) = (ends(student), ends(teacher));
    let left = Side {
        uncertain,
        outside,
        ..side("student", &a, student)
    };
    align(&left, &side("teacher", &b, teacher)).expect("valid")
}

#[test]
fn minimal_common_spans() {
    let found = aligned(&[2, 3, 1, 4], &[2, 1, 2, 2, 3], &[], &[]);
    assert_eq!(found.offsets, [0, 3]);
    assert_eq!(
        (found.student, found.teacher),
        (vec![0, 1, 2], vec![0, 1, 3])
    );
    assert_eq!(
        (found.student_tokens, found.teacher_tokens),
        (vec![1, 1, 2], vec![1, 2, 2])
    );
    assert_eq!(found.weight, [1.0, 1.0 / 3.0, 0.5]);
}

#[test]
fn tokens_without_bytes() {
    // In front they go with what follows, else with what they come after.
    let found = aligned(&[0, 3, 0, 0, 1], &[2, 1, 1], &[], &[]);
    assert_eq!(
        (found.student, found.student_tokens),
        (vec![0, 4], vec![4, 1])
    );
    assert_eq!(
        (found.teacher, found.teacher_tokens),
        (vec![0, 2], vec![2, 1])
    );
    // Those outside belong to nothing.
    let found = aligned(&[0, 3, 1, 0], &[3, 1], &[], &[0, 3]);
    assert_eq!(
        (found.student, found.student_tokens),
        (vec![1, 2], vec![1, 1])
    );
    // Only white space, of which one side makes nothing.
    assert_eq!(aligned(&[], &[3], &[], &[]).offsets, [0, 0]);
}

#[test]
fn boundaries_in_doubt_are_passed_over() {
    let found = aligned(&[1, 1, 1], &[1, 1, 1], &[0], &[]);
    assert_eq!(
        (found.student, found.student_tokens),
        (vec![0, 2], vec![2, 1])
    );
}

#[test]
fn other_texts_are_refused() {
    let (two, one) = ([0, 1, 2], [0, 1]);
    let texts = align(
        &side("student", &two, &[1, 1]),
        &side("teacher", &one, &[1]),
    );
    assert!(
        texts
            .expect_err("another number")
            .to_string()
            .contains("teacher has 1 rows")
    );
    let bytes = align(
        &side("student", &two, &[1, 4]),
        &side("teacher", &two, &[1, 3]),
    );
    assert!(
        bytes
            .expect_err("other bytes")
            .to_string()
            .contains("text 1 has 4 bytes")
    );
    let broken = align(&side("student", &two, &[1]), &side("teacher", &one, &[1]));
    assert!(
        broken
            .expect_err("offsets")
            .to_string()
            .contains("student: offsets")
    );
}
