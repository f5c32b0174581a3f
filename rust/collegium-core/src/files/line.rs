//! Some fields of one JSON object, without building the others.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

/// What an object says of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Missing,
    Null,
    Text(Cow<'a, str>),
}

/// Read the fields `names` of the object `line`. The last of equal names counts.
pub(super) fn fields<'a>(line: &'a str, names: &[&str]) -> serde_json::Result<Vec<Field<'a>>> {
    let mut json = serde_json::Deserializer::from_str(line);
    let found = Object(names).deserialize(&mut json)?;
    json.end()?;
    Ok(found)
}

/// Names of all fields, for messages.
pub(super) fn names(line: &str) -> Vec<String> {
    let object: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(line);
    object.map_or_else(
        |_| Vec::new(),
        |fields| fields.into_iter().map(|(name, _)| name).collect(),
    )
}

struct Object<'n>(&'n [&'n str]);

impl<'a> DeserializeSeed<'a> for Object<'_> {
    type Value = Vec<Field<'a>>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Object<'_> {
    type Value = Vec<Field<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut object: M) -> Result<Self::Value, M::Error> {
        let mut found = vec![Field::Missing; self.0.len()];
        while let Some(place) = object.next_key_seed(Name(self.0))? {
            match place {
                None => drop(object.next_value::<IgnoredAny>()?),
                Some(place) => {
                    let value = object.next_value_seed(Text(self.0[place]))?;
                    // The same column may have been asked for twice.
                    for (slot, name) in found.iter_mut().zip(self.0) {
                        if *name == self.0[place] {
                            *slot = value.clone();
                        }
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The place of a key among the names.
struct Name<'n>(&'n [&'n str]);

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| *name == key))
    }
}

struct Text<'n>(&'n str);

impl<'a> DeserializeSeed<'a> for Text<'_> {
    type Value = Field<'a>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Text<'_> {
    type Value = Field<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or null in field {:?}", self.0)
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Null)
    }

    fn visit_map<M: MapAccess<'a>>(self, _: M) -> Result<Self::Value, M::Error> {
        Err(M::Error::invalid_type(serde::de::Unexpected::Map, &self))
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, fields, names};

    fn text(value: &str) -> Field<'_> {
        Field::Text(value.into())
    }

    #[test]
    fn only_what_is_asked_for() {
        let line =
            r#"{"b": [1, {"a": "no"}], "a": "x\n\u65e5\ud83d\ude00", "c": null, "a b": 1e400}"#;
        assert_eq!(
            fields(line, &["c", "a", "d"]).expect("valid"),
            [Field::Null, text("x\n日😀"), Field::Missing]
        );
        assert_eq!(
            fields("{}", &["a", "a"]).expect("valid"),
            [Field::Missing, Field::Missing]
        );
        let twice = r#"{"a": "1", "\u0061": "2"}"#;
        assert_eq!(
            fields(twice, &["a", "a"]).expect("valid"),
            [text("2"), text("2")]
        );
        assert_eq!(names(r#"{"b": 1, "a": 2}"#), ["a", "b"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, hint) in [
            ("[1]", "a JSON object"),
            (r#"{"a": 3}"#, r#"a string or null in field "a""#),
            (r#"{"a": {"b": 1}}"#, r#"a string or null in field "a""#),
            (r#"{"a": ["b"]}"#, r#"a string or null in field "a""#),
            (r#"{"a": "x"} {}"#, "trailing"),
            (r#"{"a": "x"#, "EOF"),
            (r#"{"a": "\ud800"}"#, "hex escape"),
            ("{\"a\": \"\t\"}", "control character"),
            ("nothing", "expected"),
        ] {
            let error = fields(line, &["a"]).expect_err(line).to_string();
            assert!(error.contains(hint), "{line}: {error}");
        }
    }
}
