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
const PAGES: usize = 0x11_0000 / PAGE;

/// One page of characters each, computed when it is first needed.
static CLASSES: [OnceLock<Box<[u8; PAGE]>>; PAGES] = [const { OnceLock::new() }; PAGES];

/// The classes of `c`.
#[inline]
pub(super) fn class(c: char) -> u8 {
    let code = c as usize;
    let Some(page) = CLASSES.get(code / PAGE) else {
        return 0;
    };
    match page.get() {
        Some(classes) => classes[code % PAGE],
        None => {
            // Set at once, so that no fork can find the page half made.
            let _ = page.set(compute(c as u32 / PAGE as u32));
            class_of(c)
        }
    }
}

fn compute(page: u32) -> Box<[u8; PAGE]> {
    let mut classes = Box::new([0; PAGE]);
    for (code, class) in (page * PAGE as u32..).zip(classes.iter_mut()) {
        *class = char::from_u32(code).map_or(0, class_of);
    }
    classes
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
