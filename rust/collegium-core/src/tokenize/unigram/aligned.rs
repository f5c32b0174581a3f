//! Normalised text that remembers which bytes of the original its bytes came from.
//!
//! The `tokenizers` crate says where tokens are in the original, so this follows its rules: a map
//! yields characters, each with a change. 0 stands for a character of the original, 1 for one more
//! at the place of the character before it; each 1 less removes a character that follows.

use crate::tokenize::charsmap::Output;

/// Text and, byte by byte, the range of the original that each came from.
#[derive(Debug, Default)]
pub(super) struct Aligned {
    pub text: String,
    pub ranges: Vec<(u32, u32)>,
}

/// Mapped text with the change of each of its characters.
#[derive(Debug, Default)]
pub(super) struct Changes {
    text: String,
    changes: Vec<i32>,
    /// Whether characters were removed before any was kept: there is nothing to note it at, so all
    /// that follows is taken for what stands as many characters earlier.
    displaced: bool,
}

impl Output for Changes {
    fn keep(&mut self, text: &str) {
        self.text.push_str(text);
        let count = text.chars().count();
        self.changes.resize(self.changes.len() + count, 0);
    }

    fn replace(&mut self, old: &str, new: &str) {
        let difference = new.chars().count() as i32 - old.chars().count() as i32;
        self.keep(new);
        if difference > 0 {
            let added = self.changes.len().saturating_sub(difference as usize);
            self.changes[added..].fill(1);
        } else if let Some(last) = self.changes.last_mut() {
            *last += difference;
        } else {
            self.displaced |= difference < 0;
        }
    }
}

impl Changes {
    pub fn clear(&mut self) {
        self.text.clear();
        self.changes.clear();
        self.displaced = false;
    }

    pub fn is_displaced(&self) -> bool {
        self.displaced
    }

    /// Walk through `original`, which was mapped to this.
    pub fn align(&self, original: &str, out: &mut Aligned) {
        out.text.clear();
        out.text.push_str(&self.text);
        out.ranges.clear();
        let mut rest = original.chars();
        let (mut last, mut next) = ((0, 0), 0_u32);
        let mut advance = |next: &mut u32| {
            let range = (*next, *next + rest.next().map_or(0, char::len_utf8) as u32);
            *next = range.1;
            range
        };
        for (character, &change) in self.text.chars().zip(&self.changes) {
            let range = if change > 0 {
                last
            } else {
                last = advance(&mut next);
                let range = last;
                (change..0).for_each(|_| last = advance(&mut next));
                range
            };
            out.ranges
                .extend(std::iter::repeat_n(range, character.len_utf8()));
        }
    }
}

impl Aligned {
    /// Remove white space at the end.
    pub fn trim_end(&mut self) {
        let length = self.text.trim_end().len();
        self.text.truncate(length);
        self.ranges.truncate(length);
    }

    /// Put `replacement` for every run of two spaces and more, at the place of its last one.
    pub fn collapse(&self, replacement: &str, out: &mut Aligned) {
        out.text.clear();
        out.ranges.clear();
        let mut done = 0;
        let keep = |out: &mut Aligned, start: usize, end: usize| {
            out.text.push_str(&self.text[start..end]);
            out.ranges.extend_from_slice(&self.ranges[start..end]);
        };
        while let Some(at) = self.text[done..].find("  ").map(|at| done + at) {
            keep(out, done, at);
            let run = &self.text[at..];
            done = at + run.len() - run.trim_start_matches(' ').len();
            out.text.push_str(replacement);
            out.ranges.extend(std::iter::repeat_n(
                self.ranges[done - 1],
                replacement.len(),
            ));
        }
        keep(out, done, self.text.len());
    }
}
