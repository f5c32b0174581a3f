//! Where words end: one scanner for each pattern, reading UTF-8 directly.

use super::blocks::Block;
use crate::tokenize::cache::WordCache;
use crate::tokenize::classes::{LETTER, LOWER, NUMBER, PUNCTUATION, SPACE, UPPER, class};

/// A pattern for words. Together the words are the whole text.
pub(super) trait Words {
    /// The end of the word that begins at `start`, which is inside `text` (valid UTF-8).
    fn end(text: &[u8], start: usize) -> usize;

    /// Whether [`Words::length`] finds words.
    const BY_BLOCKS: bool = false;

    /// The length of the word that a block begins with, and how many bytes tell it, if blocks can.
    /// It counts only where one more byte of the block is ASCII.
    fn length(block: Block) -> Option<(usize, usize)> {
        let _ = block;
        None
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
#[derive(Debug)]
pub(super) struct Gpt2;

/// Each `\p{N}` alone; [`Gpt2`] between them.
#[derive(Debug)]
pub(super) struct Digits;

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,DIGITS}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
#[derive(Debug)]
pub(super) struct Cl100k<const DIGITS: usize>;

impl Words for Gpt2 {
    #[inline]
    fn end(text: &[u8], start: usize) -> usize {
        if text[start] == b'\'' {
            let length = contraction(&text[start + 1..]);
            if length > 0 {
                return start + 1 + length;
            }
        }
        let first = at_space_too(text, start);
        let (class, _) = class_at(text, first);
        match class & (LETTER | NUMBER | SPACE) {
            SPACE => spaces(text, start, |_| false),
            LETTER => run(text, first, |class| class & LETTER != 0),
            NUMBER => run(text, first, |class| class & NUMBER != 0),
            _ => run(text, first, |class| class & (LETTER | NUMBER | SPACE) == 0),
        }
    }

    const BY_BLOCKS: bool = true;

    #[inline(always)]
    fn length(block: Block) -> Option<(usize, usize)> {
        if block.quotes & 1 != 0 {
            return None;
        }
        // Behind a space that does not stand before another.
        let first = block.blanks & !(block.spaces >> 1) & 1;
        let is_in = |class: u64| class >> first & 1 != 0;
        let run = |class: u64| (first + u64::from((class >> first).trailing_ones())) as usize;
        let length = if is_in(block.letters) {
            run(block.letters)
        } else if is_in(block.spaces) {
            return Some(spaces_length(block.spaces));
        } else if is_in(block.numbers) {
            run(block.numbers)
        } else {
            run(block.others())
        };
        Some((length, length))
    }
}

impl Words for Digits {
    #[inline]
    fn end(text: &[u8], start: usize) -> usize {
        let (class, length) = class_at(text, start);
        if class & NUMBER != 0 {
            return start + length;
        }
        if text[start] == b' ' && class_at(text, start + 1).0 & NUMBER != 0 {
            return start + 1;
        }
        if class & SPACE != 0 {
            let first = at_space_too(text, start);
            if first == start {
                // A digit ends the text that the pattern sees.
                return spaces(text, start, |class| class & NUMBER != 0);
            }
        }
        Gpt2::end(text, start)
    }
}

impl<const DIGITS: usize> Words for Cl100k<DIGITS> {
    #[inline]
    fn end(text: &[u8], start: usize) -> usize {
        let byte = text[start];
        if byte == b'\'' {
            let length = contraction_in_any_case(&text[start + 1..]);
            if length > 0 {
                return start + 1 + length;
            }
        }
        let (class, length) = class_at(text, start);
        if class & LETTER != 0 {
            return run(text, start + length, |class| class & LETTER != 0);
        }
        if class & NUMBER != 0 {
            return numbers(text, start, DIGITS);
        }
        let (next, _) = class_at(text, start + length);
        if next & LETTER != 0 && !matches!(byte, b'\r' | b'\n') {
            return run(text, start + length, |class| class & LETTER != 0);
        }
        if class & SPACE != 0 {
            let other = next & (LETTER | NUMBER | SPACE) == 0 && start + length < text.len();
            if byte != b' ' || !other {
                return spaces_or_lines(text, start);
            }
        }
        let end = run(text, start + length, |class| {
            class & (LETTER | NUMBER | SPACE) == 0
        });
        lines(text, end)
    }

    const BY_BLOCKS: bool = true;

    #[inline(always)]
    fn length(block: Block) -> Option<(usize, usize)> {
        let behind = |class: u64| 1 + (class >> 1).trailing_ones() as usize;
        if block.quotes & 1 != 0 {
            return None;
        }
        let whole = |length: usize| Some((length, length));
        if block.letters & 1 != 0 {
            return whole(block.letters.trailing_ones() as usize);
        }
        if block.numbers & 1 != 0 {
            return whole((block.numbers.trailing_ones() as usize).min(DIGITS));
        }
        if block.letters & !(block.breaks << 1) & 2 != 0 {
            return whole(behind(block.letters));
        }
        let others = block.others();
        if block.spaces & 1 != 0 && block.blanks & (others >> 1) & 1 == 0 {
            let run = block.spaces.trailing_ones();
            // A run of the whole block does not count.
            let breaks = block.breaks & !(u64::MAX << (run & 63));
            return Some(match breaks.checked_ilog2() {
                Some(last) => (last as usize + 1, run as usize),
                None => spaces_length(block.spaces),
            });
        }
        let end = behind(others);
        let rest = block.breaks.checked_shr(end as u32).unwrap_or(0);
        whole(end + rest.trailing_ones() as usize)
    }
}

/// `\s+(?!\S)|\s+`, before something else.
#[inline(always)]
fn spaces_length(spaces: u64) -> (usize, usize) {
    let run = spaces.trailing_ones() as usize;
    (if run == 1 { 1 } else { run.saturating_sub(1) }, run)
}

const fn repeated(byte: u8) -> u128 {
    u128::from_le_bytes([byte; 16])
}

/// Length and key of the word at `start`, if it is the most common kind: ASCII letters, with or
/// without a space before them, that end within 15 bytes before another ASCII character. All
/// patterns agree on it. It is found without a branch for each letter.
#[inline(always)]
pub(super) fn plain_word(text: &[u8], start: usize) -> Option<(usize, u128)> {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(text.get(start..start + 16)?);
    let block = u128::from_le_bytes(bytes);
    let space = usize::from(bytes[0] == b' ');
    let rest = block >> (8 * space);
    // In the top bit of each byte: whether it is a letter.
    let low = (rest | repeated(0x20)) & repeated(0x7F);
    let from_a = low + repeated(0x80 - b'a');
    let after_z = low + repeated(0x80 - b'z' - 1);
    let letters = from_a & !after_z & !rest & repeated(0x80);
    let count = ((letters ^ repeated(0x80)).trailing_zeros() / 8) as usize;
    let length = space + count;
    if count == 0 || length > 15 || bytes[length] >= 0x80 {
        return None;
    }
    Some((length, WordCache::mask(block, length)))
}

/// The start of a word that may have a space before it: behind the space, if more than space follows.
#[inline(always)]
fn at_space_too(text: &[u8], start: usize) -> usize {
    let next = start + 1;
    if text[start] == b' ' && next < text.len() && class_at(text, next).0 & SPACE == 0 {
        next
    } else {
        start
    }
}

/// The end of the run that begins at `start`.
#[inline(always)]
fn run(text: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let mut end = start;
    while end < text.len() {
        let (class, length) = class_at(text, end);
        if !belongs(class) {
            break;
        }
        end += length;
    }
    end
}

/// At most `count` numbers.
#[inline(always)]
fn numbers(text: &[u8], start: usize, count: usize) -> usize {
    let mut end = start;
    for _ in 0..count {
        let (class, length) = class_at(text, end);
        if class & NUMBER == 0 {
            break;
        }
        end += length;
    }
    end
}

/// `\s+(?!\S)|\s+`, where the text also ends before what `stops`.
#[inline(always)]
fn spaces(text: &[u8], start: usize, stops: impl Fn(u8) -> bool) -> usize {
    let (mut end, mut last) = (start, start);
    while end < text.len() {
        let (class, length) = class_at(text, end);
        if class & SPACE == 0 {
            // The last space belongs to what follows, unless it is the only one.
            let whole = last == start || stops(class);
            return if whole { end } else { last };
        }
        last = end;
        end += length;
    }
    end
}

/// `\s*[\r\n]+|\s+(?!\S)|\s+`
#[inline(always)]
fn spaces_or_lines(text: &[u8], start: usize) -> usize {
    let (mut end, mut last, mut line) = (start, start, None);
    while end < text.len() {
        let (class, length) = class_at(text, end);
        if class & SPACE == 0 {
            break;
        }
        last = end;
        end += length;
        if matches!(text[last], b'\r' | b'\n') {
            line = Some(end);
        }
    }
    match line {
        Some(line) => line,
        None if end == text.len() || last == start => end,
        None => last,
    }
}

/// `[\r\n]*`
#[inline(always)]
fn lines(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let breaks = rest
        .iter()
        .take_while(|&&byte| matches!(byte, b'\r' | b'\n'));
    start + breaks.count()
}

/// Bytes after the apostrophe of a contraction; 0 if it is none.
fn contraction(rest: &[u8]) -> usize {
    match rest {
        [b's' | b't' | b'm' | b'd', ..] => 1,
        [b'r' | b'v', b'e', ..] | [b'l', b'l', ..] => 2,
        _ => 0,
    }
}

/// As [`contraction`], in any case; the long s is an s.
fn contraction_in_any_case(rest: &[u8]) -> usize {
    match rest {
        [b's' | b't' | b'm' | b'd' | b'S' | b'T' | b'M' | b'D', ..] => 1,
        [b'r' | b'v' | b'R' | b'V', b'e' | b'E', ..] | [b'l' | b'L', b'l' | b'L', ..] => 2,
        [0xC5, 0xBF, ..] => 2,
        _ => 0,
    }
}

/// Class and length of the character at `at`; (0, 0) at the end.
#[inline(always)]
fn class_at(text: &[u8], at: usize) -> (u8, usize) {
    match text.get(at) {
        Some(&byte) if byte < 0x80 => (ASCII[usize::from(byte)], 1),
        Some(_) => class_beyond_ascii(&text[at..]),
        None => (0, 0),
    }
}

#[inline(never)]
fn class_beyond_ascii(rest: &[u8]) -> (u8, usize) {
    let tail = |index: usize| u32::from(rest.get(index).copied().unwrap_or(0) & 0x3F);
    let lead = rest.first().copied().unwrap_or(0);
    let (code, length) = match lead {
        0..0xE0 => (u32::from(lead & 0x1F) << 6 | tail(1), 2),
        0xE0..0xF0 => (u32::from(lead & 0x0F) << 12 | tail(1) << 6 | tail(2), 3),
        _ => (
            u32::from(lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3),
            4,
        ),
    };
    (char::from_u32(code).map_or(0, class), length)
}

const ASCII: [u8; 128] = {
    let mut classes = [0; 128];
    let mut code = 0;
    while code < 128 {
        let byte = code as u8;
        classes[code] = match byte {
            b'a'..=b'z' => LETTER | LOWER,
            b'A'..=b'Z' => LETTER | UPPER,
            b'0'..=b'9' => NUMBER,
            b'\t'..=b'\r' | b' ' => SPACE,
            _ if byte.is_ascii_punctuation() => PUNCTUATION,
            _ => 0,
        };
        code += 1;
    }
    classes
};
