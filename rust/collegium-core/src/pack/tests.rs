use proptest::prelude::*;

use super::{Packing, pack};
use crate::Error;

fn check(lengths: &[i64], capacity: i64, packing: &Packing) {
    let mut rows = vec![Vec::new(); packing.rows];
    for (item, &length) in lengths.iter().enumerate() {
        rows[packing.row_of[item] as usize].push((packing.start_of[item], length));
    }
    for row in &mut rows {
        row.sort_unstable();
        let mut end = 0;
        for &mut (start, length) in row {
            assert_eq!(start, end, "items lie end to end");
            end += length;
        }
        assert!(end > 0 && end <= capacity);
    }
}

/// The definition, with a scan over all rows.
fn by_scan(lengths: &[i64], capacity: i64) -> Vec<i64> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&item| (-lengths[item], item));
    let mut room: Vec<i64> = Vec::new();
    let mut filled = Vec::new();
    let mut row_of = vec![0; lengths.len()];
    for (time, item) in order.into_iter().enumerate() {
        let fit = (0..room.len())
            .filter(|&row| room[row] >= lengths[item])
            .min_by_key(|&row| (room[row], std::cmp::Reverse(filled[row])));
        let row = fit.unwrap_or_else(|| {
            room.push(capacity);
            filled.push(0);
            room.len() - 1
        });
        filled[row] = time;
        room[row] -= lengths[item];
        row_of[item] = row as i64;
    }
    row_of
}

#[test]
fn nothing_gives_no_rows() {
    assert_eq!(pack(&[], 8).expect("no items").rows, 0);
}

#[test]
fn the_tightest_row_is_chosen() {
    let packing = pack(&[6, 7, 3, 4], 10).expect("valid");
    assert_eq!(packing.row_of, [1, 0, 0, 1]);
    assert_eq!(packing.start_of, [0, 0, 7, 6]);
}

#[test]
fn bad_lengths_are_named() {
    for (lengths, item) in [(&[1, 9][..], 1), (&[0, 2], 0), (&[1, 2, -3], 2)] {
        match pack(lengths, 8) {
            Err(Error::ItemLength { item: found, .. }) => assert_eq!(found, item),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(pack(&[1], 0), Err(Error::Range { .. })));
}

#[test]
fn a_table_and_a_tree_of_rooms_agree() {
    let lengths: Vec<i64> = (0..500i64).map(|i| (i * i * 7919) % 997 + 1).collect();
    let small = pack(&lengths, 1000).expect("valid");
    let scale = 1 << 13; // rooms beyond the table
    let scaled: Vec<i64> = lengths.iter().map(|l| l * scale).collect();
    let large = pack(&scaled, 1000 * scale).expect("valid");
    assert_eq!(small.row_of, large.row_of);
    assert_eq!(small.rows, large.rows);
}

proptest! {
    #[test]
    fn rows_hold_every_item_once(
        capacity in 1i64..200,
        raw in prop::collection::vec(0i64..1000, 0..200),
    ) {
        let lengths: Vec<i64> = raw.iter().map(|x| x % capacity + 1).collect();
        let packing = pack(&lengths, capacity).expect("valid lengths");
        check(&lengths, capacity, &packing);
        prop_assert_eq!(by_scan(&lengths, capacity), packing.row_of);
    }
}
