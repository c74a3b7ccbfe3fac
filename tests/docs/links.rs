//! Links lead somewhere: files and headings that are there. Of the world outside only the form is looked at.

use std::fs;
use std::path::Path;

use super::root;

/// What is wrong with the links of a file.
pub(crate) fn broken(path: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let directory = Path::new(path).parent().unwrap();
    prose(&text)
        .flat_map(|(line, number)| targets(line).into_iter().map(move |it| (it, number)))
        .filter_map(|(target, number)| {
            let reason = judge(path, directory, &target).err()?;
            Some(format!("{path}:{number}: {target}: {reason}"))
        })
        .collect()
}

/// The lines outside of blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut is_block = false;
    text.lines().zip(1..).filter(move |(line, _)| {
        let is_fence = line.starts_with("```");
        is_block ^= is_fence;
        !is_block && !is_fence
    })
}

/// The targets of `[text](target)`, outside of code; a bare or bracketed address counts, too.
fn targets(line: &str) -> Vec<String> {
    let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let links = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let bare = line.split("<http").skip(1).filter_map(|rest| rest.split('>').next());
    links.map(str::to_owned).chain(bare.map(|rest| format!("http{rest}"))).collect()
}

fn judge(path: &str, directory: &Path, target: &str) -> Result<(), &'static str> {
    if target.contains("://") {
        let host = target.strip_prefix("https://").ok_or("not https")?.split('/').next();
        let is_name = |it: &str| {
            it.contains('.') && it.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
        };
        return host.filter(|host| is_name(host)).map(|_| ()).ok_or("not an address");
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match file {
        "" => root().join(path),
        _ => root().join(directory).join(file),
    };
    if !file.exists() {
        return Err("there is no such file");
    }
    if !anchor.is_empty() {
        let text = fs::read_to_string(&file).map_err(|_| "an anchor in no text")?;
        anchors(&text).find(|it| it == anchor).ok_or("there is no such heading")?;
    }
    Ok(())
}

/// Headings as they are linked to: small letters, hyphens for spaces, without punctuation.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|(line, _)| line.starts_with('#')).map(|(line, _)| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    })
}

#[test]
fn broken_links_are_found() {
    let table = [
        ("CHANGELOG.md", Ok(())),
        ("src", Ok(())),
        ("README.md#exit-codes", Ok(())),
        ("https://notaryproject.dev/docs", Ok(())),
        ("NOWHERE.md", Err("there is no such file")),
        ("README.md#nowhere", Err("there is no such heading")),
        ("http://notaryproject.dev", Err("not https")),
        ("https://nowhere", Err("not an address")),
    ];
    for (target, expected) in table {
        assert_eq!(judge("README.md", Path::new(""), target), expected, "{target}");
    }
    assert_eq!(
        targets("[a](b) and `[c](d)` and [e](f#g), <https://h.i>"),
        ["b", "f#g", "https://h.i"]
    );
}
