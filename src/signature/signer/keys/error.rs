//! What can be wrong with the list of keys.

use std::path::PathBuf;

use crate::fsutil;
use crate::image::hint;
use crate::image::json::ReadError;

/// Why the list of keys is malformed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListProblem {
    /// The default names no key of the list.
    #[error("default key {name:?} not found")]
    DefaultNotInList {
        /// The default.
        name: String,
    },
    /// Not JSON, or JSON that parsers read differently.
    #[error(transparent)]
    Json(#[from] ReadError),
    /// A member has another type than it must have.
    #[error("member {member:?} has an unexpected type")]
    Member {
        /// Its name.
        member: &'static str,
    },
    /// Two keys have the same name.
    #[error("multiple keys with name {name:?} found")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// A key has no name.
    #[error("key name cannot be empty")]
    NoName,
}

/// Why the list of keys can't be used or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// There is a key of this name.
    #[error("signing key with name {name:?} already exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    File(#[from] fsutil::FileError),
    /// The list is malformed.
    #[error("malformed {}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: ListProblem,
    },
    /// The name of a new key is empty.
    #[error("key name cannot be empty")]
    Name,
    /// No key was named and no default is set.
    #[error("default signing key not set. Please set default signing key or specify a key name")]
    NoDefault {
        /// The names there are.
        known: Vec<String>,
    },
    /// No key has the name that was asked for.
    #[error("signing key {name} not found")]
    NotFound {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The list is a link, a directory or a device.
    #[error("{} is not a regular file (symlinks are not supported)", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
}

impl KeysError {
    /// A command that helps, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoDefault { known } => match known.as_slice() {
                [] => Some(
                    "dockseal key add NAME --key-file FILE --cert-file FILE --default".to_owned(),
                ),
                [only] if !only.starts_with('-') => {
                    hint::shell(&["dockseal", "key", "update", only, "--default"])
                }
                names => {
                    let names = names.iter().filter_map(|name| hint::shell(&[name]));
                    let names = names.collect::<Vec<_>>().join(", ");
                    Some(format!("there are {names}: dockseal key update NAME --default"))
                }
            },
            Self::NotFound { .. } => Some("dockseal key list".to_owned()),
            _ => None,
        }
    }
}
