//! A directory that holds what an archive holds: an OCI layout or an unpacked `docker save`.

use std::fs;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::error::ArchiveError;
use super::name;
use super::scan::{Kind, Member};
use crate::content::limits::Limits;

/// Deepest directory that is looked into; genuine ones are three deep.
const MAX_DEPTH: usize = 8;
/// `O_NOFOLLOW | O_NONBLOCK`: a member that became a link or a pipe meanwhile is an error.
const OPEN_FLAGS: i32 = 0o400_000 | 0o4_000;

/// Lists the members of a directory, in the order of their names.
pub(super) fn list(
    root: &Path,
    limits: &Limits,
    visit: &mut dyn FnMut(String, Member) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    walk(root, "", 0, limits, visit)
}

/// Opens a member without following links.
pub(super) fn open(root: &Path, name: &str) -> Result<fs::File, ArchiveError> {
    let path = root.join(name);
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(OPEN_FLAGS)
        .open(&path)
        .map_err(|source| ArchiveError::Open { path, source })
}

fn walk(
    root: &Path,
    at: &str,
    depth: usize,
    limits: &Limits,
    visit: &mut dyn FnMut(String, Member) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let path = root.join(at);
    let io = |source| ArchiveError::Open { path: path.clone(), source };
    let mut entries =
        fs::read_dir(&path).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let file_name = entry.file_name();
        let raw = file_name.as_encoded_bytes();
        let member_name = match at {
            "" => name::clean(raw, limits)?,
            at => format!("{at}/{}", name::clean(raw, limits)?),
        };
        let metadata = entry.metadata().map_err(io)?;
        let kind = metadata.file_type();
        let (kind, size) = if kind.is_dir() {
            if depth < MAX_DEPTH {
                walk(root, &member_name, depth + 1, limits, visit)?;
            }
            continue;
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).map_err(io)?;
            let target = target.to_str().map(str::to_owned).ok_or_else(|| ArchiveError::Link {
                name: member_name.clone(),
                reason: "its target is not UTF-8",
            })?;
            (Kind::Symlink(target), 0)
        } else if kind.is_fifo()
            || kind.is_socket()
            || kind.is_char_device()
            || kind.is_block_device()
        {
            continue;
        } else {
            (Kind::File, metadata.len())
        };
        let mode = metadata.permissions().mode() & 0o7777;
        visit(member_name, Member::new(kind, mode, size))?;
    }
    Ok(())
}
