//! The one error type of this crate.

use std::fmt;

/// `std::result::Result` with this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong. Each message names the argument, file or row, and its value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// Two columns that describe the same rows have different lengths.
    Length {
        /// The column that does not fit.
        name: &'static str,
        /// Its length.
        found: usize,
        /// The number of texts.
        expected: usize,
    },
    /// A number lies outside the range that the argument allows.
    Range {
        /// The argument.
        name: &'static str,
        /// The value, as given.
        value: String,
        /// The allowed range, in words.
        allowed: &'static str,
    },
    /// An option that this version does not offer.
    Unsupported {
        /// The argument.
        name: &'static str,
        /// The value, as given.
        value: String,
        /// What is offered instead.
        offered: &'static str,
    },
    /// Arguments that exclude or need each other.
    Combination(String),
    /// An item to be packed is longer than a row, or has no length.
    ItemLength {
        /// Position of the item.
        item: usize,
        /// Its length.
        length: i64,
        /// The capacity of a row.
        capacity: i64,
    },
    /// A token id that the tokenizer does not have.
    UnknownId {
        /// Position of the id in the sequence.
        position: usize,
        /// The id.
        id: u32,
        /// Number of tokens in the vocabulary.
        vocab_size: usize,
    },
    /// A text could not be encoded.
    Encode {
        /// Row of the text.
        row: usize,
        /// What the tokenizer said.
        reason: String,
    },
    /// Ids could not be decoded.
    Decode(String),
    /// A file could not be read.
    Read {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A data file, or something in it, that cannot be used.
    Data {
        /// The file.
        path: String,
        /// Line or row and byte or column in words; empty where the file as a whole is meant.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// A file for what does not fit the memory could not be written or read.
    Scratch {
        /// Where it lies.
        directory: String,
        /// What the system said.
        reason: String,
    },
    /// A file that is not a usable `tokenizer.json`.
    TokenizerFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller asked for the work to end.
    Interrupted,
    /// A setting from the environment that cannot be used.
    Environment {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        allowed: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length {
                name,
                found,
                expected,
            } => write!(
                f,
                "{name} has {found} rows, but there are {expected} texts; both describe the same rows"
            ),
            Self::Range {
                name,
                value,
                allowed,
            } => write!(f, "{name}={value} is out of range: expected {allowed}"),
            Self::Unsupported {
                name,
                value,
                offered,
            } => write!(
                f,
                "{name}={value} is not available in this version; use {offered}"
            ),
            Self::Combination(message) => f.write_str(message),
            Self::ItemLength {
                item,
                length,
                capacity,
            } if length > capacity => write!(
                f,
                "item {item} has length {length}, more than the capacity {capacity} of a row; \
                 shorten or drop it, or raise the capacity"
            ),
            Self::ItemLength { item, length, .. } => {
                write!(
                    f,
                    "item {item} has length {length}; every length must be at least 1"
                )
            }
            Self::UnknownId {
                position,
                id,
                vocab_size,
            } => write!(
                f,
                "ids[{position}] = {id} is no token of this tokenizer ({vocab_size} tokens)"
            ),
            Self::Encode { row, reason } => write!(f, "texts[{row}] cannot be encoded: {reason}"),
            Self::Decode(reason) => write!(f, "the ids cannot be decoded: {reason}"),
            Self::Scratch { directory, reason } => write!(
                f,
                "temporary files in {directory}: {reason}; make room there, set TMPDIR to another \
                 directory, or allow more memory"
            ),
            Self::Read { path, reason } => write!(f, "{path}: cannot be read: {reason}"),
            Self::Data {
                path,
                place,
                reason,
            } if place.is_empty() => write!(f, "{path}: {reason}"),
            Self::Data {
                path,
                place,
                reason,
            } => write!(f, "{path}, {place}: {reason}"),
            Self::TokenizerFile { path, reason } => write!(
                f,
                "{path}: not a usable tokenizer.json: {reason}; expected the file that a fast \
                 Hugging Face tokenizer writes with save_pretrained()"
            ),
            Self::Interrupted => f.write_str("interrupted before the end"),
            Self::Environment {
                name,
                value,
                allowed,
            } => write!(
                f,
                "environment variable {name}={value:?}: expected {allowed}"
            ),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn messages_carry_the_values() {
        let long = Error::ItemLength {
            item: 4,
            length: 9,
            capacity: 8,
        };
        assert!(long.to_string().contains("item 4 has length 9"));
        let short = Error::ItemLength {
            item: 4,
            length: 0,
            capacity: 8,
        };
        assert!(short.to_string().contains("at least 1"));
    }
}
