//! Registry scopes: `domain[:port]/repository`, the grammar of spec/notation.md §5.2 rule 7.
//!
//! The two regular expressions of the specification are matched by hand: they are small, and no
//! regular expression engine enters the crate for them. Matching of scopes is exact; there are no
//! prefixes, no patterns and no short names.

use std::fmt;

/// A registry scope of a policy statement.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// `*`: whatever no other statement names.
    Any,
    /// One repository.
    Repository(Repository),
}

impl Scope {
    /// Parses a scope of a policy.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text == "*" { Ok(Self::Any) } else { Repository::parse(text).map(Self::Repository) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Repository(repository) => repository.fmt(f),
        }
    }
}

/// A repository with its domain, such as `registry.example.com:5000/net-monitor` or a local name
/// such as `local/net-monitor`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Repository(String);

impl Repository {
    /// Parses `domain[:port]/repository`, without tag and digest.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.contains('*') {
            return Err(ScopeError::Wildcard { scope: text.to_owned() });
        }
        match text.split_once('/') {
            Some((domain, path)) if is_domain(domain) && is_path(path) => Ok(Self(text.to_owned())),
            _ => Err(ScopeError::Malformed { scope: text.to_owned() }),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Host name components joined by dots, and an optional port.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_component = |component: &str| {
        !component.is_empty()
            && component.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !component.starts_with('-')
            && !component.ends_with('-')
    };
    host.split('.').all(is_component)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Path components joined by slashes.
fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut rest = component.as_bytes();
    loop {
        let run = rest.iter().take_while(|byte| is_letter(**byte)).count();
        if run == 0 {
            return false;
        }
        rest = &rest[run..];
        if rest.is_empty() {
            return true;
        }
        let joint = rest.iter().take_while(|byte| !is_letter(**byte)).count();
        let separator = &rest[..joint];
        if !matches!(separator, b"." | b"_" | b"__") && !separator.iter().all(|byte| *byte == b'-')
        {
            return false;
        }
        rest = &rest[joint..];
    }
}

/// Why a text is no registry scope. The texts are notation's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScopeError {
    /// The text does not follow the grammar.
    #[error(
        "registry scope {scope:?} is not valid, make sure it is a fully qualified repository \
         without the scheme, protocol or tag. For example domain.com/my/repository or a local scope \
         like local/myOCILayout"
    )]
    Malformed {
        /// The text found.
        scope: String,
    },
    /// A `*` inside a scope.
    #[error(
        "registry scope {scope:?} with wild card(s) is not valid, make sure it is a fully qualified \
         repository without the scheme, protocol or tag. For example domain.com/my/repository or a \
         local scope like local/myOCILayout"
    )]
    Wildcard {
        /// The text found.
        scope: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_follow_the_grammar_of_the_specification() {
        for text in [
            "*",
            "local/net-monitor",
            "localhost:5000/net-monitor",
            "registry.wabbit-networks.io/software/net-monitor",
            "Example.COM/a",
            "a/b",
            "10.0.0.1/a/b/c",
            "a-b.c/x.y_z__w--v---u0",
        ] {
            let scope = Scope::parse(text).unwrap();
            assert_eq!(scope.to_string(), text);
        }
        for text in [
            "",
            "net-monitor",
            "/net-monitor",
            "local/",
            "local/x/",
            "local//x",
            "local/X",
            "local/x:v1",
            "local/x@sha256",
            "local/x___y",
            "local/x..y",
            "local/x._y",
            "local/-x",
            "local/x-",
            "-local/x",
            "local-/x",
            "local./x",
            "local:/x",
            "local:5a/x",
            "local:5:6/x",
            "https://local/x",
            "local/é",
            "lo cal/x",
            "local/x\n",
            "local/*",
            "**",
        ] {
            assert!(Scope::parse(text).is_err(), "{text:?} must be refused");
        }
        let error = Scope::parse("*.example.com/x").unwrap_err();
        assert!(error.to_string().contains("with wild card(s) is not valid"));
    }
}
