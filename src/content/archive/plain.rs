//! Small archives of regular files and nothing else, read whole and in their order.

use std::collections::HashSet;
use std::io::Read;

use super::error::ArchiveError;
use super::gate::{Gate, io_error};
use super::name;
use crate::content::limits::Limits;

/// Reads all members: names that are clean as they stand, each once, and nothing behind the end.
///
/// # Errors
/// [`ArchiveError`] for anything else, and for more members or bytes than the limits allow.
pub fn read_plain(
    reader: impl Read,
    limits: Limits,
) -> Result<Vec<(String, Vec<u8>)>, ArchiveError> {
    let mut tar = tar::Archive::new(Gate::new(reader, limits));
    let (mut members, mut names, mut total) = (Vec::new(), HashSet::new(), 0_u64);
    for entry in tar.entries().map_err(io_error)? {
        let mut entry = entry.map_err(io_error)?;
        let raw = entry.path_bytes().into_owned();
        let name = name::clean(&raw, &limits)?;
        let refused =
            |problem: String| ArchiveError::Tar { offset: entry.raw_header_position(), problem };
        if name.as_bytes() != raw {
            return Err(refused(format!("a member whose name is not plainly {name:?}")));
        }
        if !entry.header().entry_type().is_file() {
            return Err(refused(format!("member {name:?} is no regular file")));
        }
        let limit = |what: &str, limit| Err(ArchiveError::Limit { what: what.to_owned(), limit });
        if members.len() >= limits.members {
            return limit("the number of members", limits.members as u64);
        }
        total = total.saturating_add(entry.size());
        if total > limits.total_bytes {
            return limit("the archive", limits.total_bytes);
        }
        if !names.insert(name.clone()) {
            return Err(ArchiveError::DuplicateMember { name });
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(io_error)?;
        members.push((name, bytes));
    }
    let gate = tar.into_inner();
    if gate.finish()?.trailing {
        let problem = "data behind the end of the archive".to_owned();
        return Err(ArchiveError::Tar { offset: 0, problem });
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(members: &[(&str, tar::EntryType)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, kind) in members {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(if *kind == tar::EntryType::Regular { 1 } else { 0 });
            if *kind == tar::EntryType::Symlink {
                header.set_link_name("x").unwrap();
            }
            header.set_mode(0o644);
            header.set_cksum();
            let data: &[u8] = if *kind == tar::EntryType::Regular { b"x" } else { b"" };
            tar.append(&header, data).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn s5_s7_only_plain_files_once_each() {
        use tar::EntryType::{Directory, Regular, Symlink};

        let read = |bytes: &[u8]| read_plain(bytes, Limits::default()).map_err(|e| e.to_string());
        let good = tar(&[("b", Regular), ("a/c", Regular)]);
        let names: Vec<_> = read(&good).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a/c"], "in their order");
        for bad in [
            tar(&[("a", Regular), ("a", Regular)]),
            tar(&[("./a", Regular)]),
            tar(&[("a/../b", Regular)]),
            tar(&[("../a", Regular)]),
            tar(&[("/a", Regular)]),
            tar(&[("a", Symlink)]),
            tar(&[("a/", Directory)]),
            [good.clone(), b"more".to_vec()].concat(),
            good[..700].to_vec(),
            b"no tar".to_vec(),
        ] {
            assert!(read(&bad).is_err());
        }
        let few = Limits { members: 1, ..Limits::default() };
        assert!(read_plain(&*good, few).is_err());
        let small = Limits { total_bytes: 1, ..Limits::default() };
        assert!(read_plain(&*good, small).is_err());
    }
}
