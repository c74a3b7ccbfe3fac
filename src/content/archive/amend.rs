//! Putting members into an archive: what of it stays, and what goes behind that.
//!
//! A plain tar is a row of members, so everything that stays can be copied in long ranges without
//! being looked into, and what is new or takes another's place goes to the end. Members that nobody
//! here knows keep every byte of header and data.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Seek as _};
use std::ops::Range;

use super::compression::{Compression, MAGIC_BYTES};
use super::error::ArchiveError;
use super::gate::{Gate, io_error};
use super::measure::read_up_to;
use super::name;
use crate::content::limits::Limits;

/// Blocks of a tar.
const BLOCK: u64 = 512;

/// Blobs may not be changed, as containerd's exporter writes them.
const BLOB_MODE: u32 = 0o444;

/// Documents may.
const DOCUMENT_MODE: u32 = 0o644;

/// An archive with other members, as what has to be written.
#[derive(Debug)]
pub struct Amended {
    /// Ranges of the archive that stay, in order.
    pub kept: Vec<Range<u64>>,
    /// What comes behind them: the new members and the end of the archive.
    pub tail: Vec<u8>,
}

/// Plans an archive that is `file` with `members` added, or put in the place of those of their
/// names.
///
/// # Errors
/// When it can't be read or is compressed, when something follows its end (which would be lost), or
/// when a link is, or leads to, what would be replaced.
pub fn amend(
    mut file: &fs::File,
    limits: Limits,
    members: &BTreeMap<String, Vec<u8>>,
) -> Result<Amended, ArchiveError> {
    file.rewind().map_err(io_error)?;
    let mut magic = [0; MAGIC_BYTES];
    let filled = read_up_to(&mut file, &mut magic).map_err(io_error)?;
    if Compression::detect(&magic[..filled]) != Compression::None {
        return Err(ArchiveError::Compressed);
    }
    file.rewind().map_err(io_error)?;
    let mut tar = tar::Archive::new(Gate::new(file, limits));
    let mut kept = Vec::new();
    let (mut from, mut end) = (0, 0);
    for entry in tar.entries_with_seek().map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        // Extension headers stand in front of the member's own.
        let begin = end;
        end = entry.raw_file_position() + entry.size().next_multiple_of(BLOCK);
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        if kind.is_hard_link()
            && let Some(target) = entry.link_name_bytes()
            && members.contains_key(&name::clean(&target, &limits)?)
        {
            let name = String::from_utf8_lossy(&target).into_owned();
            return Err(ArchiveError::Link { name, reason: "it leads to what would be replaced" });
        }
        let name = name::clean(&entry.path_bytes(), &limits)?;
        if !members.contains_key(&name) {
            continue;
        }
        if !kind.is_file() && !kind.is_contiguous() {
            return Err(ArchiveError::Link { name, reason: "it would be replaced" });
        }
        kept.push(from..begin);
        from = end;
    }
    kept.push(from..end);
    kept.retain(|range| !range.is_empty());
    if tar.into_inner().finish()?.trailing {
        return Err(ArchiveError::TrailingData);
    }
    Ok(Amended { kept, tail: tail(members).map_err(io_error)? })
}

/// The members, and the end of the archive.
fn tail(members: &BTreeMap<String, Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let is_blob = name.starts_with("blobs/") || name.contains("/blobs/");
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(if is_blob { BLOB_MODE } else { DOCUMENT_MODE });
        header.set_mtime(0);
        tar.append_data(&mut header, name, bytes.as_slice())?;
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::FileExt as _;

    use super::*;

    /// A tar of files and links, some with names that need extension headers.
    fn tar_of(members: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o600);
            let mut link = |kind, target: &str| {
                header.set_entry_type(kind);
                header.set_size(0);
                tar.append_link(&mut header, name, target).unwrap();
            };
            match content.split_once("->") {
                Some(("", target)) => link(tar::EntryType::Symlink, target),
                Some((_, target)) => link(tar::EntryType::Link, target),
                None => {
                    header.set_size(content.len() as u64);
                    tar.append_data(&mut header, name, content.as_bytes()).unwrap();
                }
            }
        }
        tar.into_inner().unwrap()
    }

    fn amended(archive: &[u8], members: &[(&str, &str)]) -> Result<Vec<u8>, ArchiveError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(archive).unwrap();
        let members =
            members.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        let plan = amend(&file, Limits::default(), &members.collect())?;
        let mut out = Vec::new();
        for range in plan.kept {
            let mut part = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut part, range.start).unwrap();
            out.extend(part);
        }
        out.extend(plan.tail);
        Ok(out)
    }

    fn contents(archive: &[u8]) -> Vec<(String, String)> {
        let mut tar = tar::Archive::new(archive);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text)
        };
        tar.entries().unwrap().map(read).collect()
    }

    #[test]
    fn members_are_replaced_and_added_and_all_others_keep_their_bytes() {
        let long = format!("long/{}", "n".repeat(150));
        let big = "x".repeat(2000);
        for (before, after, kept) in [
            // In the middle, first, last, alone, absent.
            (
                vec![("a", "1"), ("index.json", "old"), (&*long, &*big)],
                vec![("a", "1"), (&*long, &*big)],
                1,
            ),
            (vec![("index.json", "old"), ("a", "1")], vec![("a", "1")], 0),
            (vec![(&*long, "1"), ("./index.json", "old")], vec![(&*long, "1")], 1),
            (vec![("index.json", "old")], vec![], 0),
            (vec![("a", "")], vec![("a", "")], 1),
        ] {
            let archive = tar_of(&before);
            let result = amended(&archive, &[("index.json", "new"), ("z", "")]).unwrap();
            let mut expected = after.clone();
            expected.extend([("index.json", "new"), ("z", "")]);
            let expected: Vec<_> =
                expected.into_iter().map(|(n, t)| (n.to_owned(), t.to_owned())).collect();
            assert_eq!(contents(&result), expected);
            // The bytes of what stays, extension headers and all.
            let rest = tar_of(&after);
            assert_eq!(result[..rest.len() - 1024], rest[..rest.len() - 1024], "{kept}");
        }
    }

    #[test]
    fn global_headers_stay() {
        let mut global = tar::Header::new_ustar();
        let record = b"16 comment=abcd\n";
        global.set_entry_type(tar::EntryType::XGlobalHeader);
        global.set_size(record.len() as u64);
        global.set_path("pax_global_header").unwrap();
        global.set_cksum();
        let mut head = global.as_bytes().to_vec();
        head.extend(record);
        head.resize(1024, 0);
        let archive = [head.clone(), tar_of(&[("index.json", "old"), ("a", "1")])].concat();
        let result = amended(&archive, &[("index.json", "new")]).unwrap();
        assert_eq!(
            result,
            [
                head,
                tar_of(&[("a", "1")])[..1024].to_vec(),
                amended(&tar_of(&[]), &[("index.json", "new")]).unwrap()
            ]
            .concat()
        );
    }

    #[test]
    fn what_can_not_be_amended() {
        let index: &[_] = &[("index.json", "new")];
        let good = tar_of(&[("a", "1")]);
        for (archive, expected) in [
            (tar_of(&[("index.json", "->a")]), "it would be replaced"),
            (tar_of(&[("b", "hard->index.json")]), "it leads to what would be replaced"),
            ([&*good, b"more"].concat(), "behind the end"),
            (good[..good.len() - 1024].to_vec(), "truncated"),
            (zstd::encode_all(&*good, 1).unwrap(), "is compressed"),
        ] {
            let error = amended(&archive, index).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
