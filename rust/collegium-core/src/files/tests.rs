//! JSONL files of every shape; Parquet is tested from Python, which writes it.

use std::io::Write;
use std::path::PathBuf;

use super::read;
use crate::Error;

/// A file that is removed when the test ends.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn file(name: &str, bytes: &[u8]) -> Temporary {
    let name = format!("collegium-files-{}-{name}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).expect("room in the temporary folder");
    Temporary(path)
}

type Row = (String, Vec<Option<String>>);

fn rows(file: &Temporary, columns: &[&str]) -> Result<Vec<Row>, Error> {
    let mut found = Vec::new();
    read(&file.0, columns, |block| {
        let views: Vec<_> = block.columns.iter().map(super::Strings::views).collect();
        for row in 0..block.rows() {
            let values = views.iter().map(|column| column[row].map(str::to_owned));
            found.push((block.place(row), values.collect()));
        }
        Ok(())
    })?;
    Ok(found)
}

fn message(bytes: &[u8], columns: &[&str]) -> String {
    // Tests run side by side.
    let name = format!("{:?}.jsonl", std::thread::current().id());
    let error = rows(&file(&name, bytes), columns).expect_err("must be refused");
    error.to_string()
}

#[test]
fn blank_lines_marks_and_missing_ends() {
    let text = "\u{feff}{\"a\": \"1\", \"b\": null}\r\n\n   \n{\"b\": \"x\"}\n{\"a\":\"日\"}";
    let found = rows(&file("shapes.jsonl", text.as_bytes()), &["a", "b"]).expect("valid");
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        found,
        [
            ("line 1".to_owned(), vec![some("1"), None]),
            ("line 4".to_owned(), vec![None, some("x")]),
            ("line 5".to_owned(), vec![some("日"), None]),
        ]
    );
    assert_eq!(rows(&file("empty.jsonl", b""), &["a"]), Ok(vec![]));
}

#[test]
fn several_blocks_and_a_line_longer_than_one() {
    let long = "x".repeat(9 << 20);
    let mut text = Vec::new();
    for row in 0..40_000 {
        let words = if row == 777 {
            long.clone()
        } else {
            "word ".repeat(row % 90)
        };
        writeln!(text, "{{\"n\": {row}, \"a\": \"{row} {words}\"}}").expect("memory");
    }
    let plain = file("blocks.jsonl", &text);
    let found = rows(&plain, &["a"]).expect("valid");
    assert_eq!(found.len(), 40_000);
    for (row, (place, values)) in found.iter().enumerate() {
        assert_eq!(*place, format!("line {}", row + 1));
        let value = values[0].as_deref().expect("a text");
        assert!(value.starts_with(&format!("{row} ")));
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&text).expect("memory");
    let packed = packed.finish().expect("memory");
    assert_eq!(
        rows(&file("blocks.gz", &packed), &["a"]).expect("valid"),
        found
    );
    let cut = file("cut.gz", &packed[..packed.len() / 2]);
    let error = rows(&cut, &["a"]).expect_err("cut off").to_string();
    assert!(
        error.contains("cannot be read any further") && error.contains("line "),
        "{error}"
    );
    // The place of an error far into the file.
    let at = text.len();
    text.extend(b"{\"a\": \"\xff\"}\n");
    let error = message(&text, &["a"]);
    let place = format!("line 40001 (byte {} of the file)", at + 7);
    assert!(error.contains(&place) && error.contains("0xff"), "{error}");
}

#[test]
fn errors_name_line_byte_and_field() {
    for (text, hints) in [
        (
            "{\"a\": \"x\"}\n{\"a\": 3}\n",
            vec!["line 2 (byte 17", "field \"a\"", "integer"],
        ),
        ("{\"a\": \"x\"}\n[]\n", vec!["line 2", "a JSON object"]),
        (
            "{\"a\": \"x\"}\n{\"a\": \"x\n",
            vec!["line 2", "not a JSON object"],
        ),
        (
            "{\"b\": \"x\", \"c\": 1}\n",
            vec!["no line has a field \"a\"", "has: b, c"],
        ),
    ] {
        let error = message(text.as_bytes(), &["a"]);
        for hint in hints {
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
    let missing = Temporary(PathBuf::from("no/such/file.jsonl"));
    let error = rows(&missing, &["a"]).expect_err("missing").to_string();
    assert!(error.contains("no/such/file.jsonl") && error.contains("cannot be read"));
    let folder = rows(&Temporary(PathBuf::from(".")), &["a"]).expect_err("a folder");
    assert!(folder.to_string().contains("is a folder"));
    assert!(message(b"ARROW1\0\0", &["a"]).contains("Arrow file"));
    assert!(message(b"PAR1 and nothing more", &["a"]).contains("not a readable Parquet file"));
}
