//! Classes of characters, as the regex engine of `tokenizers` (Oniguruma) sees them.

use std::sync::OnceLock;

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization_alignments::{
    IsNormalized, char::canonical_combining_class, is_nfc_quick,
};

/// `\p{L}`.
pub(super) const LETTER: u8 = 1;
/// `\p{N}`.
pub(super) const NUMBER: u8 = 1 << 1;
/// `\s`.
pub(super) const SPACE: u8 = 1 << 2;
/// `\p{M}`.
pub(super) const MARK: u8 = 1 << 3;
/// `\p{Lu}`, `\p{Lt}`.
pub(super) const UPPER: u8 = 1 << 4;
/// `\p{Ll}`.
pub(super) const LOWER: u8 = 1 << 5;
/// `\p{P}`, `\p{S}`.
pub(super) const PUNCTUATION: u8 = 1 << 6;
/// NFC may change the character or join it to another.
pub(super) const UNSTABLE: u8 = 1 << 7;

const PAGE: usize = 256;

/// The classes of every character, in pages that are shared where they are alike.
#[derive(Debug)]
pub(super) struct Classes {
    pages: Vec<u16>,
    bytes: Vec<[u8; PAGE]>,
}

static CLASSES: OnceLock<Classes> = OnceLock::new();

/// The one table; it is computed when it is first needed, in a few milliseconds.
pub(super) fn classes() -> &'static Classes {
    CLASSES.get_or_init(Classes::compute)
}

impl Classes {
    fn compute() -> Self {
        let mut bytes: Vec<[u8; PAGE]> = Vec::new();
        let mut known = std::collections::HashMap::new();
        let pages = (0..=0x10FF_u32)
            .map(|page| {
                let mut entries = [0; PAGE];
                for (low, entry) in (0..).zip(&mut entries) {
                    *entry = char::from_u32(page << 8 | low).map_or(0, class_of);
                }
                *known.entry(entries).or_insert_with(|| {
                    bytes.push(entries);
                    bytes.len() as u16 - 1
                })
            })
            .collect();
        Self { pages, bytes }
    }

    /// The classes of `c`.
    #[inline]
    pub fn of(&self, c: char) -> u8 {
        let code = c as usize;
        let page = self.pages.get(code >> 8).copied().unwrap_or(0);
        self.bytes
            .get(usize::from(page))
            .map_or(0, |entries| entries[code & 0xFF])
    }
}

fn class_of(c: char) -> u8 {
    use GeneralCategory as G;
    let category = match get_general_category(c) {
        G::UppercaseLetter | G::TitlecaseLetter => LETTER | UPPER,
        G::LowercaseLetter => LETTER | LOWER,
        G::ModifierLetter | G::OtherLetter => LETTER,
        G::DecimalNumber | G::LetterNumber | G::OtherNumber => NUMBER,
        G::NonspacingMark | G::SpacingMark | G::EnclosingMark => MARK,
        G::ConnectorPunctuation
        | G::DashPunctuation
        | G::OpenPunctuation
        | G::ClosePunctuation
        | G::InitialPunctuation
        | G::FinalPunctuation
        | G::OtherPunctuation
        | G::MathSymbol
        | G::CurrencySymbol
        | G::ModifierSymbol
        | G::OtherSymbol => PUNCTUATION,
        _ => 0,
    };
    let stable =
        canonical_combining_class(c) == 0 && is_nfc_quick(std::iter::once(c)) == IsNormalized::Yes;
    let space = if c.is_whitespace() { SPACE } else { 0 };
    category | space | if stable { 0 } else { UNSTABLE }
}
