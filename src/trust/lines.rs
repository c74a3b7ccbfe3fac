//! Where the statements of a policy document are, for people who have to change them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::policy::PolicyError;

/// Names of the statements, with the lines on which they begin.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StatementLines(Vec<(String, usize)>);

impl StatementLines {
    /// Those of a document, as far as it is one.
    pub fn of(document: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow, rename = "trustPolicies")]
            statements: Vec<&'a RawValue>,
        }
        #[derive(Default, Deserialize)]
        struct Statement {
            name: Option<String>,
        }
        let Ok(text) = std::str::from_utf8(document) else { return Self::default() };
        let Ok(document) = serde_json::from_str::<Document<'_>>(text) else {
            return Self::default();
        };
        let place = |statement: &RawValue| {
            let offset = statement.get().as_ptr() as usize - text.as_ptr() as usize;
            let line = 1 + text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count();
            let read: Statement = serde_json::from_str(statement.get()).unwrap_or_default();
            (read.name.unwrap_or_default(), line)
        };
        Self(document.statements.into_iter().map(place).collect())
    }

    /// The line of the statement with this name; of several that of the last.
    pub fn line(&self, name: &str) -> Option<usize> {
        self.0.iter().rfind(|(known, _)| known == name).map(|(_, line)| *line)
    }

    /// The line of the statement that an error is about.
    pub fn line_of(&self, error: &PolicyError) -> Option<usize> {
        match error {
            PolicyError::GlobalSkip { statement }
            | PolicyError::NoScopes { statement }
            | PolicyError::WildcardNotAlone { statement } => self.line(statement),
            PolicyError::NameTwice { name, .. } | PolicyError::Statement { name, .. } => {
                self.line(name)
            }
            PolicyError::NoName { .. } => self.line(""),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::policy::OciPolicy;

    #[test]
    fn statements_are_found_by_name() {
        let document = b"{\"version\": \"1.0\",\n \"trustPolicies\": [\n  {\"name\": \"a\",\n   \
            \"registryScopes\": [\"*\"]}, {\"name\": \"b\"},\n\n{\n\"name\":\"a\"}, {\"x\":1}]}";
        let lines = StatementLines::of(document);
        assert_eq!(lines.line("b"), Some(4));
        assert_eq!(lines.line("a"), Some(6), "the second of a name is what is wrong");
        assert_eq!(lines.line(""), Some(7));
        assert_eq!(lines.line("c"), None);
        let error = OciPolicy::parse(document).unwrap_err();
        assert_eq!(lines.line_of(&error), Some(6), "{error}");
        for nothing in [&b"{"[..], b"\xff", b"[]", b"{\"trustPolicies\": null}", b""] {
            assert_eq!(StatementLines::of(nothing), StatementLines::default());
        }
    }
}
