//! The numbers of a text: the guard of rows without an answer, and one spelling for all.

use super::hash::Key;

/// The key with the numbers of a text, in any order; markers of lists and steps are left out.
pub(super) fn guard(key: Key, text: &str) -> Key {
    let mut found = numbers(text);
    found.sort_unstable();
    found
        .iter()
        .fold(key, |key, number| key.with_bytes(number.as_bytes()))
}

/// The text with each number in one spelling, the signs of equations as words, and without the
/// markers of lists.
pub(super) fn canonical_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.lines() {
        let line = &line[list_marker(line)..];
        let mut at = 0;
        while let Some(c) = line[at..].chars().next() {
            let before = line[..at].trim_end();
            let after = line[at + c.len_utf8()..].trim_start();
            if c.is_numeric() {
                let length = number_length(&line[at..]);
                out.push_str(&canonical(&line[at..at + length]));
                at += length;
                continue;
            }
            match sign(c, before, after) {
                Some(word) => {
                    out.push(' ');
                    out.push_str(word);
                    out.push(' ');
                }
                None => out.push(c),
            }
            at += c.len_utf8();
        }
        out.push('\n');
    }
    out
}

/// The word for a sign of an equation.
fn sign(c: char, before: &str, after: &str) -> Option<&'static str> {
    let word = match c {
        '+' => "plus",
        '-' | '−' => "minus",
        '*' | '×' | '·' | 'x' => "times",
        '/' | '÷' => "over",
        '=' => "equals",
        _ => return None,
    };
    let left = before.ends_with(|c: char| c.is_numeric() || ")%".contains(c));
    let right = after
        .trim_start_matches(['$', '(', ' '])
        .starts_with(char::is_numeric);
    let counts = match c {
        '-' => right,
        'x' => left && right,
        _ => left || right,
    };
    counts.then_some(word)
}

/// The numbers of a text in one spelling each: no thousands separators, no idle zeros.
fn numbers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = &line[list_marker(line)..];
        let mut done = 0;
        while let Some(next) = line[done..].find(char::is_numeric) {
            let start = done + next;
            done = start + number_length(&line[start..]);
            let before = &line[..start];
            if !counts_a_step(before) {
                let sign = if negative(before) { "-" } else { "" };
                found.push(format!("{sign}{}", canonical(&line[start..done])));
            }
        }
    }
    found
}

/// Length of a marker such as `1. `, `(2) `, `- 3: ` or `**4.** ` at the beginning of a line.
fn list_marker(line: &str) -> usize {
    let opened = line.trim_start_matches(|c: char| c.is_whitespace() || "*-#(•".contains(c));
    let digits = opened.bytes().take_while(u8::is_ascii_digit).count();
    let after = opened[digits..].trim_start_matches('*');
    if !(1..=3).contains(&digits) || !after.starts_with(['.', ')', ':']) {
        return 0;
    }
    let item = after[1..].trim_start_matches(['*', ')', '.', ':']);
    if item.starts_with(char::is_whitespace) && !item.trim().is_empty() {
        line.len() - item.len()
    } else {
        0
    }
}

/// Whether what stands before a number makes it the number of a step.
fn counts_a_step(before: &str) -> bool {
    let before = before.trim_end_matches(|c: char| c.is_whitespace() || "#*".contains(c));
    let start = before.len().saturating_sub(4);
    before
        .get(start..)
        .is_some_and(|word| word.eq_ignore_ascii_case("step"))
        && !before[..start].ends_with(char::is_alphanumeric)
}

/// Whether a minus before a number is its sign, not a dash or a subtraction.
fn negative(before: &str) -> bool {
    before
        .strip_suffix(['-', '−'])
        .is_some_and(|rest| rest.is_empty() || rest.ends_with([' ', '\t', '(', '=', '[', ',', '$']))
}

/// Length in bytes of the number at the beginning of `text`: digits, `,` before three digits, and
/// a decimal part.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.find(|c: char| !c.is_numeric()).unwrap_or(rest.len())
    };
    let mut length = digits(0);
    while text[length..].starts_with(',') && digits(length + 1) == 3 {
        length += 4;
    }
    if text[length..].starts_with('.') {
        let decimals = digits(length + 1);
        if decimals > 0 {
            length += 1 + decimals;
        }
    }
    length
}

fn canonical(number: &str) -> String {
    let plain = number.replace(',', "");
    let (whole, decimals) = plain.split_once('.').unwrap_or((&plain, ""));
    let whole = whole.trim_start_matches('0');
    let decimals = decimals.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if decimals.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{decimals}")
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical_text, numbers};

    #[track_caller]
    fn same(a: &str, b: &str) {
        let sorted = |text| {
            let mut found = numbers(text);
            found.sort_unstable();
            found
        };
        assert_eq!(sorted(a), sorted(b));
    }

    #[test]
    fn spellings_of_one_number() {
        assert_eq!(
            numbers("1,000 and 2.50 and 007 and .5 and 3,4 and 10."),
            ["1000", "2.5", "7", "5", "3", "4", "10"]
        );
        same("costs $1,234.00 now", "costs 1234 now");
        same("12 + 3 = 15", "3 + 12 = 15");
        assert_ne!(numbers("15 and 3"), numbers("15 and 3 and 3"));
    }

    #[test]
    fn equations_in_one_spelling() {
        let words = |text: &str| {
            let text = canonical_text(text);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("1. 1,000×2.50=2500.0"), "1000 times 2.5 equals 2500");
        assert_eq!(
            words("$1000 * $2.5 = $2,500"),
            "$1000 times $ 2.5 equals $ 2500".replace("$ ", "$")
        );
        assert_eq!(
            words("3 x 4 and x and well-known"),
            "3 times 4 and x and well-known"
        );
        assert_eq!(words("10-4"), words("10 - 4"));
    }

    #[test]
    fn signs() {
        assert_eq!(
            numbers("x = -5, 10-4, 3 - 2, -1"),
            ["-5", "10", "4", "3", "2", "-1"]
        );
    }

    #[test]
    fn markers_are_no_numbers() {
        same("Step 1: add 5.\nSTEP 2: take 4.", "add 5. take 4.");
        same(
            "1. add 5\n2) take 4\n  (3) stop\n**4.** go",
            "add 5\ntake 4\nstop\ngo",
        );
        same("First step: 7", "7");
        // A line that is only the number, or a decimal, is an answer.
        assert_eq!(numbers("So:\n12.\n3.5 apples"), ["12", "3.5"]);
        assert_eq!(numbers("footstep 3 and ½ and １"), ["3", "½", "１"]);
    }
}
