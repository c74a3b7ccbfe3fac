//! The strict gate before any JSON parser.
//!
//! `serde_json` keeps the last of two equal members, and Go's `encoding/json`, which every engine
//! and `notation` use, also takes `Layers` for `layers` (CVE-2014-8179; `security.md` S6). Two
//! programs can so read two different documents from the same bytes. [`check`] refuses what
//! parsers read differently; only bytes that passed it are given to serde.
//!
//! The gate demands RFC 8259 JSON in UTF-8 without BOM, one value, nothing behind it, and further:
//! no member name twice in one object, compared as Go compares (without regard to case); no known
//! name in another letter case; a depth and a size limit; no lone surrogates (Go replaces them).

use std::borrow::Cow;
use std::collections::BTreeSet;

/// What a kind of document may look like.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Largest document in bytes.
    pub max_bytes: usize,
    /// Deepest nesting of arrays and objects.
    pub max_depth: usize,
    /// Member names that the reader of this document interprets. Any of them in another letter
    /// case is refused: Go would take it, a case-sensitive parser would not.
    pub known: &'static [&'static str],
    /// Members whose value is a map with free keys (labels, annotations): keys there are
    /// case-sensitive for every reader, so only exact duplicates are refused.
    pub free_maps: &'static [&'static str],
}

impl Rules {
    /// Depth that every document of the field stays far below (spec: JSON depth 64).
    pub const MAX_DEPTH: usize = 64;

    /// Rules with a size limit and nothing else special.
    #[must_use]
    pub const fn limited(max_bytes: usize) -> Self {
        Self { max_bytes, max_depth: Self::MAX_DEPTH, known: &[], free_maps: &["annotations"] }
    }
}

/// Why a document was refused, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct JsonError {
    /// Offset of the offending byte.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a JSON document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A known member name in another letter case.
    #[error("member {found:?} differs only in letter case from {known:?}")]
    CaseVariant {
        /// The name in the document.
        found: String,
        /// The name it should have.
        known: &'static str,
    },
    /// The same member name twice in one object.
    #[error("duplicate member {name:?}")]
    Duplicate {
        /// The second one's name.
        name: String,
    },
    /// Not JSON.
    #[error("invalid JSON: {what}")]
    Syntax {
        /// What was expected.
        what: &'static str,
    },
    /// Nested too deeply.
    #[error("nested more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Too large.
    #[error("document of {found} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its size.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Something follows the value.
    #[error("trailing data after the JSON value")]
    Trailing,
}

/// Checks `bytes` against the rules.
///
/// # Errors
/// The first deviation, with its offset.
pub fn check(bytes: &[u8], rules: &Rules) -> Result<(), JsonError> {
    if bytes.len() > rules.max_bytes {
        let problem = Problem::TooLarge { found: bytes.len(), limit: rules.max_bytes };
        return Err(JsonError { offset: rules.max_bytes, problem });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError {
        offset: error.valid_up_to(),
        problem: Problem::Syntax { what: "valid UTF-8 expected" },
    })?;
    let mut gate = Gate { text, at: 0, rules };
    gate.space();
    gate.value(0, Keys::Folded)?;
    gate.space();
    if gate.at < bytes.len() { Err(gate.error(Problem::Trailing)) } else { Ok(()) }
}

/// Checks `bytes`, then reads them into `T`.
///
/// # Errors
/// What [`check`] refuses, or what serde does (a member of the wrong type, a missing member).
pub fn read<T: serde::de::DeserializeOwned>(bytes: &[u8], rules: &Rules) -> Result<T, ReadError> {
    check(bytes, rules)?;
    Ok(serde_json::from_slice(bytes)?)
}

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The gate refused it.
    #[error(transparent)]
    Gate(#[from] JsonError),
    /// It has another shape than the type that was asked for.
    #[error("unexpected content: {0}")]
    Shape(#[from] serde_json::Error),
}

/// How the keys of an object are compared.
#[derive(Clone, Copy, PartialEq)]
enum Keys {
    /// As Go matches struct fields: case does not count.
    Folded,
    /// As a map: every byte counts.
    Exact,
}

struct Gate<'a> {
    text: &'a str,
    /// Offset of a byte with which a character begins.
    at: usize,
    rules: &'a Rules,
}

impl<'a> Gate<'a> {
    fn error(&self, problem: Problem) -> JsonError {
        JsonError { offset: self.at, problem }
    }

    fn syntax(&self, what: &'static str) -> JsonError {
        self.error(Problem::Syntax { what })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.syntax(what));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize, keys: Keys) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => self.object(self.deeper(depth)?, keys),
            Some(b'[') => self.array(self.deeper(depth)?, keys),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.syntax("a value expected")),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        let limit = self.rules.max_depth;
        if depth >= limit { Err(self.error(Problem::TooDeep { limit })) } else { Ok(depth + 1) }
    }

    fn object(&mut self, depth: usize, keys: Keys) -> Result<(), JsonError> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        loop {
            let start = self.at;
            let name = self.string()?;
            let found = |problem| JsonError { offset: start, problem };
            let key = if keys == Keys::Exact { name.clone() } else { fold(&name) };
            // Known names are ASCII.
            let differs = |known: &str| known != name && known.eq_ignore_ascii_case(&key);
            if keys == Keys::Folded
                && let Some(known) = self.rules.known.iter().find(|known| differs(known))
            {
                return Err(found(Problem::CaseVariant { found: name.into_owned(), known }));
            }
            let inner =
                if self.rules.free_maps.contains(&&*name) { Keys::Exact } else { Keys::Folded };
            if !seen.insert(key) {
                return Err(found(Problem::Duplicate { name: name.into_owned() }));
            }
            self.space();
            self.take(b':', "':' expected")?;
            self.space();
            self.value(depth, inner)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.syntax("',' or '}' expected")),
            }
            self.space();
        }
    }

    fn array(&mut self, depth: usize, keys: Keys) -> Result<(), JsonError> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth, keys)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.syntax("',' or ']' expected")),
            }
            self.space();
        }
    }

    /// Passes a string and returns it decoded, so that `"\u006cayers"` equals `"layers"`.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.take(b'"', "a string expected")?;
        let plain = self.plain();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            match self.peek() {
                None => return Err(self.syntax("'\"' expected")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(0..=0x1f) => return Err(self.syntax("control character in a string")),
                Some(_) => text.push_str(self.plain()),
            }
        }
    }

    /// Passes characters that stand for themselves.
    fn plain(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let ends = |byte: u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let plain = &rest[..rest.bytes().position(ends).unwrap_or(rest.len())];
        self.at += plain.len();
        plain
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let plain = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.syntax("unknown escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.text[self.at..].starts_with("\\u") {
                    return Err(self.syntax("lone surrogate"));
                }
                self.at += 2;
                let second = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(self.syntax("lone surrogate"));
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| self.syntax("lone surrogate"))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            code = code << 4 | digit.ok_or_else(|| self.syntax("four hex digits expected"))?;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.syntax("a digit expected")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Err(self.syntax("a digit expected"));
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, word: &'static str) -> Result<(), JsonError> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.syntax("a value expected"))
        }
    }
}

/// Folds case as Go's `encoding/json` does when it matches names: simple folding, so that
/// U+017F (long s) equals `s` and U+212A (Kelvin sign) equals `k`.
fn fold<'a>(name: &Cow<'a, str>) -> Cow<'a, str> {
    if !name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        return name.clone();
    }
    let folded = name.chars().flat_map(|c| match c {
        '\u{17f}' => 's'.to_lowercase(),
        '\u{212a}' => 'k'.to_lowercase(),
        _ => c.to_lowercase(),
    });
    Cow::Owned(folded.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        max_bytes: 4096,
        max_depth: 8,
        known: &["config", "layers", "sks"],
        free_maps: &["Labels"],
    };

    fn verdict(text: &str) -> Result<(), Problem> {
        check(text.as_bytes(), &RULES).map_err(|e| e.problem)
    }

    #[test]
    fn s6_json_differentials() {
        for (text, what) in [
            (r#"{"Config":"A","config":"B"}"#, "the known name in another case"),
            (r#"{"x":1,"X":2}"#, "duplicate in another case"),
            (r#"{"x":1,"x":2}"#, "duplicate"),
            (r#"{"x":1,"\u0078":2}"#, "duplicate through an escape"),
            (r#"[{"a":{"x":1,"x":2}}]"#, "nested duplicate"),
            (r#"{"Layers":[]}"#, "known name in another case"),
            ("{\"\u{17f}k\u{17f}\":1}", "long s folds to s"),
            ("{\"s\u{212a}s\":1}", "Kelvin sign folds to k"),
            (r#"{"Labels":{"x":"1","x":"2"}}"#, "exact duplicate in a free map"),
            ("{} {}", "trailing value"),
            ("[]x", "trailing garbage"),
            ("\u{feff}{}", "BOM"),
            (r#"{"x":"\ud800"}"#, "lone surrogate"),
            (r#"{"x":"\ud800\u0041"}"#, "lone high surrogate"),
            ("[[[[[[[[[1]]]]]]]]]", "too deep"),
            (r#"{"x":01}"#, "leading zero"),
            (r#"{"x":1.}"#, "no digits"),
            (r#"{"x":+1}"#, "plus"),
            (r#"{"x":NaN}"#, "NaN"),
            (r#"{"x":1,}"#, "trailing comma"),
            ("{'x':1}", "single quotes"),
            ("{\"x\":\"a\nb\"}", "raw control character"),
            ("", "nothing"),
            ("{\"a\" 1}", "no colon"),
        ] {
            assert!(verdict(text).is_err(), "{what}: {text}");
        }
    }

    #[test]
    fn accepts_what_engines_write() {
        for text in [
            "null",
            " {\"config\":{\"Labels\":{\"Name\":\"a\",\"name\":\"b\"}},\"layers\":[1,-2.5e+3]}\n",
            r#"{"x":"\ud83d\ude00 \" \\ \/ \b\f\n\r\t\u00e9","é😀":"é\u00e9é","\u006bé":"€"}"#,
            "[[],{},[{}],true,false,\"\"]",
        ] {
            assert_eq!(verdict(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn limits_are_enforced() {
        let long = format!("\"{}\"", "x".repeat(5000));
        assert_eq!(verdict(&long), Err(Problem::TooLarge { found: 5002, limit: 4096 }));
        let deep = "[".repeat(4000);
        assert_eq!(verdict(&deep), Err(Problem::TooDeep { limit: 8 }));
        assert!(check(b"\"\xff\"", &RULES).is_err(), "invalid UTF-8");
    }

    proptest! {
        /// Whatever the gate accepts, serde_json accepts.
        #[test]
        fn accepted_is_json(text in r#"[\[\]{}",:a-c0-2 \\ntrue.eE+-]{0,40}"#) {
            if check(text.as_bytes(), &RULES).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }

        /// A string, with characters of any length beside escapes, is one for both or for none.
        #[test]
        fn strings_are_those_of_json(inner in r#"([é\u{17f}€😀a"\n]|\\["\\/bntx]|\\u(0061|d83d|de00|00)){0,20}"#) {
            let text = format!("\"{inner}\"");
            let ours = check(text.as_bytes(), &RULES).is_ok();
            prop_assert_eq!(ours, serde_json::from_str::<String>(&text).is_ok(), "{}", text);
        }

        /// No input makes it panic.
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes, &RULES);
        }
    }
}
