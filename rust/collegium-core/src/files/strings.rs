//! A column of strings in one buffer.

/// Strings end to end; some may be null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strings {
    text: String,
    ends: Vec<Option<usize>>,
}

impl Strings {
    /// Add a row.
    pub fn push(&mut self, value: Option<&str>) {
        if let Some(value) = value {
            self.text.push_str(value);
        }
        self.ends.push(value.map(|_| self.text.len()));
    }

    /// Add the rows of another column.
    pub fn append(&mut self, other: &Self) {
        let base = self.text.len();
        self.text.push_str(&other.text);
        let moved = other.ends.iter().map(|end| end.map(|end| end + base));
        self.ends.extend(moved);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes, and for n rows where the n + 1 boundaries between them are; null is empty.
    pub fn into_parts(self) -> (Vec<u8>, Vec<i64>) {
        let mut offsets = vec![0];
        for end in self.ends {
            let last = offsets[offsets.len() - 1];
            offsets.push(end.map_or(last, |end| end as i64));
        }
        (self.text.into_bytes(), offsets)
    }

    /// One view a row.
    pub fn views(&self) -> Vec<Option<&str>> {
        let mut start = 0;
        let view = |end: &Option<usize>| {
            let end = (*end)?;
            let text = self.text.get(start..end);
            start = end;
            text
        };
        self.ends.iter().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Strings;

    #[test]
    fn rows_come_back() {
        let mut column = Strings::default();
        let mut other = Strings::default();
        for value in [Some("a"), None, Some("")] {
            column.push(value);
        }
        for value in [None, Some("日本")] {
            other.push(value);
        }
        column.append(&other);
        assert_eq!(
            column.views(),
            [Some("a"), None, Some(""), None, Some("日本")]
        );
        assert_eq!((column.len(), column.is_empty()), (5, false));
        assert_eq!(
            column.into_parts(),
            ("a日本".into(), vec![0, 1, 1, 1, 1, 7])
        );
    }
}
