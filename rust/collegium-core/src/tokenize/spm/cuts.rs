//! Where a section may be cut without a change of its tokens.
//!
//! The first merge that crosses a place joins a left token that ends there with a right token that
//! begins there. So a place between the characters a and b can be cut if no merge has a left side
//! that ends with a and a right side that begins with b.

/// For each two neighbouring bytes, whether to cut between them. A space is a mark.
#[derive(Debug)]
pub(super) struct Cuts {
    /// Bit b of row a is set where a word goes on.
    joined: Box<[[u64; 4]; 256]>,
}

/// Last character of the left side of a merge, first one of its right side.
pub(super) type Join = (char, char);

impl Cuts {
    /// Cut between words and punctuation where no merge is in the way. With `spaces_only`, cut
    /// before spaces only (unknown characters may become one token across other places).
    pub(super) fn new(joins: impl Iterator<Item = Join>, spaces_only: bool) -> Self {
        let mut cuts = Self {
            joined: Box::new([[u64::MAX; 4]; 256]),
        };
        for left in 0..=u8::MAX {
            for right in 0..128_u8 {
                let to_space = right == b' ' && left != b' ';
                let between = left.is_ascii()
                    && !spaces_only
                    && (left.is_ascii_alphanumeric() != right.is_ascii_alphanumeric()
                        || left == b'\n'
                        || right == b'\n')
                    // A word keeps the space before it.
                    && left != b' ';
                cuts.set(left, right, !(to_space || between));
            }
        }
        // The last byte of a mark, and of other characters.
        cuts.set(0x81, b' ', true);
        for (left, right) in joins {
            let right = if right == '▁' { ' ' } else { right };
            let left = if left == '▁' { ' ' } else { left };
            let (Ok(right), true) = (u8::try_from(right), right.is_ascii()) else {
                continue;
            };
            match u8::try_from(left) {
                Ok(left) if left.is_ascii() => cuts.set(left, right, true),
                _ => (128..=u8::MAX).for_each(|left| cuts.set(left, right, true)),
            }
        }
        cuts
    }

    fn set(&mut self, left: u8, right: u8, joined: bool) {
        let word = &mut self.joined[usize::from(left)][usize::from(right >> 6)];
        let bit = 1 << (right & 63);
        *word = if joined { *word | bit } else { *word & !bit };
    }

    /// Whether to cut between two bytes.
    #[inline(always)]
    pub(super) fn at(&self, left: u8, right: u8) -> bool {
        self.joined[usize::from(left)][usize::from(right >> 6)] >> (right & 63) & 1 == 0
    }

    /// The end of the word that begins at `start`.
    #[inline(always)]
    pub(super) fn next(&self, text: &[u8], start: usize) -> usize {
        let mut at = start + 1;
        while at < text.len() && !self.at(text[at - 1], text[at]) {
            at += 1;
        }
        at.min(text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cuts, Join};

    fn words(joins: &[Join], spaces_only: bool, text: &str) -> Vec<String> {
        let cuts = Cuts::new(joins.iter().copied(), spaces_only);
        let (mut words, mut start) = (Vec::new(), 0);
        while start < text.len() {
            let end = cuts.next(text.as_bytes(), start);
            words.push(text[start..end].to_owned());
            start = end;
        }
        words
    }

    #[test]
    fn words_end_where_no_merge_crosses() {
        let text = "a  cat, 12x é\nyes▁ ▁no";
        let expected = ["a", "  cat", ",", " 12x", " é\n", "yes▁ ▁no"];
        assert_eq!(words(&[], false, text), expected);
        assert_eq!(words(&[], true, "a cat, x"), ["a", " cat,", " x"]);
        assert_eq!(
            words(&[('t', ',')], false, "a cat, x"),
            ["a", " cat,", " x"]
        );
        assert_eq!(words(&[(',', '▁')], false, "cat, x"), ["cat", ", x"]);
        assert_eq!(words(&[('é', '▁')], false, "é x. y"), ["é x", ".", " y"]);
    }
}
