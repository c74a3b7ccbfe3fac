//! Names of members: cleaned as engines clean them, refused where they leave the archive.

use super::error::ArchiveError;
use crate::content::limits::Limits;

/// Cleans a member name like Go's `path.Clean`, without a leading `./`.
///
/// The root itself (`.`, `./`) is the empty string.
///
/// # Errors
/// Names that are absolute, escape upward, are not UTF-8, hold control characters or are too long.
pub(super) fn clean(raw: &[u8], limits: &Limits) -> Result<String, ArchiveError> {
    let bad = |reason| {
        let name = String::from_utf8_lossy(raw).chars().take(200).collect();
        ArchiveError::Name { name, reason }
    };
    if raw.len() > limits.name_bytes {
        return Err(bad("is too long"));
    }
    let name = std::str::from_utf8(raw).map_err(|_| bad("is not UTF-8"))?;
    if name.is_empty() {
        return Err(bad("is empty"));
    }
    if name.chars().any(char::is_control) {
        return Err(bad("holds control characters"));
    }
    if name.starts_with('/') {
        return Err(ArchiveError::Escape { what: "member", name: name.to_owned() });
    }
    join("", name, "member")
}

/// Resolves `relative` from the directory `base` (both inside the archive).
///
/// # Errors
/// When the result is outside the archive, or `relative` is absolute.
pub(super) fn join(base: &str, relative: &str, what: &'static str) -> Result<String, ArchiveError> {
    let escape = || ArchiveError::Escape { what, name: relative.to_owned() };
    if relative.starts_with('/') {
        return Err(escape());
    }
    let mut parts: Vec<&str> = base.split('/').filter(|p| !p.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(escape)?;
            }
            _ => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The directory part of a clean name.
pub(super) fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_names() {
        let limits = Limits::default();
        for (raw, name) in [
            ("manifest.json", "manifest.json"),
            ("./manifest.json", "manifest.json"),
            ("./", ""),
            ("a//b/./c/", "a/b/c"),
            ("a/../b", "b"),
        ] {
            assert_eq!(clean(raw.as_bytes(), &limits).unwrap(), name);
        }
        for raw in ["", "/etc/passwd", "..", "../x", "a/../../x", "a\nb", "a\0b"] {
            assert!(clean(raw.as_bytes(), &limits).is_err(), "{raw:?}");
        }
        assert!(clean(b"\xff", &limits).is_err());
        assert!(clean(&[b'a'; 5000], &limits).is_err());
    }
}
