//! Bytes of the original text that each token stands for.

use unicode_general_category::{GeneralCategory, get_general_category};

/// The byte lengths of the tokens of `text`, given the range of the text that each one touches.
///
/// * Bytes between two ranges go to the later token, those after the last range to the last token;
///   but combining marks go with the character before them, which a normalizer joined them to.
/// * A character that several tokens touch is divided exactly where those tokens are bytes of the
///   text (`bytes_of` says which), else it belongs to the first of them.
///
/// The sum is `text.len()` unless there are no tokens.
pub(super) fn byte_lengths(
    text: &str,
    ranges: &[(usize, usize)],
    bytes_of: impl Fn(usize) -> Option<Vec<u8>>,
) -> Vec<u32> {
    let ends = ends_with_marks(text, ranges);
    let text = text.as_bytes();
    let mut lengths = Vec::with_capacity(ranges.len());
    let mut done = 0;
    for (token, (&(start, touched), &end)) in ranges.iter().zip(&ends).enumerate() {
        let range_end = end.clamp(done, text.len());
        let from = start.clamp(done, range_end);
        let shares_with_next = ranges
            .get(token + 1)
            .is_some_and(|&(next, _)| next < touched);
        let end = if shares_with_next {
            let touched = &text[start.min(from)..range_end];
            let own = |bytes: Vec<u8>| own_bytes(touched, from - start.min(from), &bytes);
            match bytes_of(token) {
                Some(bytes) => own(bytes).map_or(range_end, |length| from + length),
                // A mark that stands for no character, such as the leading `▁`, before bytes.
                None if bytes_of(token + 1).and_then(own).is_some() => from,
                None => range_end,
            }
        } else {
            range_end
        };
        lengths.push((end - done) as u32);
        done = end;
    }
    if let Some(last) = lengths.last_mut() {
        *last += (text.len() - done) as u32;
    }
    lengths
}

/// How many bytes of `touched[given..]` are a token's own, if its `bytes` are bytes of the text.
///
/// The first of them may lie before `given`, in a character that went to an earlier token whole.
fn own_bytes(touched: &[u8], given: usize, bytes: &[u8]) -> Option<usize> {
    (0..=given.min(bytes.len()))
        .find(|&before| touched[given - before..].starts_with(bytes))
        .map(|before| bytes.len() - before)
}

/// The end of each range, moved over the combining marks that follow it and that no token touches.
fn ends_with_marks(text: &str, ranges: &[(usize, usize)]) -> Vec<usize> {
    let mut ends: Vec<usize> = ranges.iter().map(|&(_, end)| end).collect();
    // Where the next token begins that does not share the character before it.
    let mut limit = text.len();
    for token in (0..ranges.len()).rev() {
        let end = ranges[token].1;
        if let Some(&(next_start, next_end)) = ranges.get(token + 1) {
            if next_start >= end {
                limit = next_start;
            } else if next_end != end {
                limit = end;
            }
        }
        let free = text.get(end..limit).unwrap_or_default();
        let marks = free.chars().take_while(|&c| joins_what_precedes(c));
        ends[token] += marks.map(char::len_utf8).sum::<usize>();
    }
    ends
}

/// Whether a normalizer may join `c` to the character before it: marks, later parts of a Hangul
/// syllable.
fn joins_what_precedes(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, NonspacingMark, SpacingMark};
    c >= '\u{300}'
        && (matches!(c, '\u{1160}'..='\u{11FF}' | '\u{D7B0}'..='\u{D7FF}')
            || matches!(
                get_general_category(c),
                NonspacingMark | SpacingMark | EnclosingMark
            ))
}

#[cfg(test)]
mod tests {
    use super::byte_lengths;

    fn characters(_: usize) -> Option<Vec<u8>> {
        None
    }

    #[test]
    fn gaps_go_to_the_next_token_and_the_rest_to_the_last() {
        let ranges = [(2, 4), (6, 8)];
        assert_eq!(byte_lengths("  ab  cd   ", &ranges, characters), [4, 7]);
        assert!(byte_lengths("   ", &[], characters).is_empty());
    }

    #[test]
    fn shared_characters() {
        let text = "日x";
        let ranges = [(0, 3), (0, 3), (3, 4)];
        assert_eq!(byte_lengths(text, &ranges, characters), [3, 0, 1]);
        let pieces: [&[u8]; 3] = [&text.as_bytes()[..2], &text.as_bytes()[2..3], b"x"];
        let exact = |token: usize| Some(pieces[token].to_vec());
        assert_eq!(byte_lengths(text, &ranges, exact), [2, 1, 1]);
        // Bytes of a normalised form are not bytes of the text.
        let other = |_: usize| Some(vec![0xC3]);
        assert_eq!(byte_lengths(text, &ranges, other), [3, 0, 1]);
    }

    #[test]
    fn bytes_behind_a_character_that_went_away_whole() {
        // A made-up space and the first byte of two characters, the rest of the one with the first
        // of the other, the rest of that.
        let text = "日本";
        let all = text.as_bytes();
        let first = [b' ', all[0]];
        let pieces: [&[u8]; 3] = [&first, &all[1..4], &all[4..]];
        let ranges = [(0, 3), (0, 6), (3, 6)];
        let bytes = |token: usize| Some(pieces[token].to_vec());
        assert_eq!(byte_lengths(text, &ranges, bytes), [3, 1, 2]);
    }

    #[test]
    fn combining_marks_go_with_their_character() {
        // e + U+0301 + space, x: the normalizer made one character of the first two.
        let ranges = [(0, 1), (0, 1), (4, 5)];
        assert_eq!(byte_lengths("e\u{301} x", &ranges, characters), [3, 0, 2]);
        // A mark that is a token of its own stays one.
        let ranges = [(0, 1), (1, 3)];
        assert_eq!(byte_lengths("e\u{301}", &ranges, characters), [1, 2]);
        assert_eq!(byte_lengths("e\u{301}", &[(0, 1)], characters), [3]);
    }

    #[test]
    fn a_mark_before_bytes_stands_for_nothing() {
        let text = "日";
        let ranges = [(0, 3); 4];
        let bytes = |token: usize| token.checked_sub(1).map(|b| vec![text.as_bytes()[b]]);
        assert_eq!(byte_lengths(text, &ranges, bytes), [0, 1, 1, 1]);
    }
}
