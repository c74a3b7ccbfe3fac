//! notation's list of signing keys: `signingkeys.json` and the `localkeys` directory.
//!
//! Implements spec/notation.md §7. The list says which keys there are and where; reading a private
//! key is [`super::local`]'s matter, asking a plugin another module's.
//!
//! ```text
//! {config}/signingkeys.json       0600  {"default":"a","keys":[KEY,...]}
//!     KEY = {"name","keyPath","certPath"} | {"name","id","pluginName","pluginConfig"?}
//! {config}/localkeys/NAME.key     0600  PKCS#8 PEM
//! {config}/localkeys/NAME.crt     0644  PEM, leaf first
//! ```
//!
//! The file is written as notation writes it (four spaces, HTML escapes, newline at the end), and
//! members that are not known here stay where they are.

mod entry;
mod error;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use self::entry::text;
pub use self::entry::{KeySource, SigningKey};
pub use self::error::{KeysError, ListProblem};
use crate::fsutil;
use crate::image::json::{self, Rules};

/// The list of keys.
const KEYS_FILE: &str = "signingkeys.json";

/// Where `cert generate-test` puts keys.
const LOCAL_KEYS_DIR: &str = "localkeys";

/// Largest list of keys; notation has no limit.
const MAX_KEYS_BYTES: usize = 4 << 20;

/// The strict reading of the list (rules N-10 to N-12).
const RULES: Rules = Rules {
    max_bytes: MAX_KEYS_BYTES,
    max_depth: 32,
    known: &["default", "keys", "name", "keyPath", "certPath", "id", "pluginName", "pluginConfig"],
    free_maps: &["pluginConfig"],
};

/// Whether a key becomes the default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MakeDefault {
    /// It does.
    Yes,
    /// The default stays as it is.
    No,
}

/// The list of keys, as it was read and as it will be written.
#[derive(Clone, Debug, Default)]
pub struct SigningKeys {
    /// The whole document without `keys`, in its order.
    document: Map<String, Value>,
    /// The entries as they were read or made, unknown members included.
    entries: Vec<Map<String, Value>>,
    keys: Vec<SigningKey>,
    default: Option<String>,
}

impl SigningKeys {
    /// The path of the list in a configuration directory.
    pub fn path(config: &Path) -> PathBuf {
        config.join(KEYS_FILE)
    }

    /// The files of a generated key: private key and certificate.
    pub fn local_paths(config: &Path, name: &str) -> (PathBuf, PathBuf) {
        let directory = config.join(LOCAL_KEYS_DIR);
        (directory.join(format!("{name}.key")), directory.join(format!("{name}.crt")))
    }

    /// Reads the list; a missing file is an empty list.
    ///
    /// # Errors
    /// [`KeysError`] when the file is a link, unreadable or malformed.
    pub fn load(config: &Path) -> Result<Self, KeysError> {
        let path = Self::path(config);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Ok(metadata) if !metadata.is_file() => Err(KeysError::NotRegular { path }),
            _ => {
                let bytes = fsutil::read_bounded(&path, MAX_KEYS_BYTES as u64)?;
                Self::parse(&bytes).map_err(|problem| KeysError::Malformed { path, problem })
            }
        }
    }

    /// Reads the bytes of a list.
    ///
    /// # Errors
    /// [`ListProblem`] when names are empty or not unique, the default is not in the list, or the
    /// JSON is not as it must be.
    pub fn parse(bytes: &[u8]) -> Result<Self, ListProblem> {
        let mut document: Map<String, Value> = json::read(bytes, &RULES)?;
        let entries = match document.remove("keys") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) => entries
                .into_iter()
                .map(|entry| match entry {
                    Value::Object(members) => Ok(members),
                    _ => Err(ListProblem::Member { member: "keys" }),
                })
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(ListProblem::Member { member: "keys" }),
        };
        let default = text(&document, "default")?;
        let keys = entries.iter().map(SigningKey::from_json).collect::<Result<Vec<_>, _>>()?;
        let list = Self { document, entries, keys, default };
        list.check()?;
        Ok(list)
    }

    fn check(&self) -> Result<(), ListProblem> {
        let mut names = HashSet::new();
        for key in &self.keys {
            if key.name.is_empty() {
                return Err(ListProblem::NoName);
            }
            if !names.insert(key.name.as_str()) {
                return Err(ListProblem::NameTwice { name: key.name.clone() });
            }
        }
        match &self.default {
            Some(name) if !names.contains(name.as_str()) => {
                Err(ListProblem::DefaultNotInList { name: name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// All keys, in the order of the file.
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The name of the default key, if one is set.
    pub fn default_name(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// The key with this name, or without a name the default key.
    ///
    /// # Errors
    /// [`KeysError::NotFound`], [`KeysError::NoDefault`].
    pub fn find(&self, name: Option<&str>) -> Result<&SigningKey, KeysError> {
        let name = name
            .or(self.default.as_deref())
            .ok_or_else(|| KeysError::NoDefault { known: self.names() })?;
        self.keys.iter().find(|key| key.name == name).ok_or_else(|| self.not_found(name))
    }

    fn not_found(&self, name: &str) -> KeysError {
        KeysError::NotFound { name: name.to_owned(), known: self.names() }
    }

    fn names(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.name.clone()).collect()
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`KeysError::Exists`] when there is a key of this name, [`KeysError::Name`] when the name is
    /// empty.
    pub fn add(&mut self, key: SigningKey, default: MakeDefault) -> Result<(), KeysError> {
        if key.name.is_empty() {
            return Err(KeysError::Name);
        }
        if self.keys.iter().any(|other| other.name == key.name) {
            return Err(KeysError::Exists { name: key.name });
        }
        if default == MakeDefault::Yes {
            self.default = Some(key.name.clone());
        }
        self.entries.push(key.to_json());
        self.keys.push(key);
        Ok(())
    }

    /// Makes a key the default.
    ///
    /// # Errors
    /// [`KeysError::NotFound`].
    pub fn set_default(&mut self, name: &str) -> Result<(), KeysError> {
        self.find(Some(name))?;
        self.default = Some(name.to_owned());
        Ok(())
    }

    /// Takes a key from the list; its files stay. Says whether it was the default.
    ///
    /// # Errors
    /// [`KeysError::NotFound`].
    pub fn remove(&mut self, name: &str) -> Result<WasDefault, KeysError> {
        let index = self
            .keys
            .iter()
            .position(|key| key.name == name)
            .ok_or_else(|| self.not_found(name))?;
        self.keys.remove(index);
        self.entries.remove(index);
        if self.default.as_deref() == Some(name) {
            self.default = None;
            return Ok(WasDefault::Yes);
        }
        Ok(WasDefault::No)
    }

    /// Writes the list, readable by its owner only.
    ///
    /// # Errors
    /// [`KeysError::File`]; the file that was there is then unchanged.
    pub fn save(&self, config: &Path) -> Result<(), KeysError> {
        fsutil::create_private_dir(config)?;
        fsutil::write_atomic(&Self::path(config), &self.to_bytes(), fsutil::Mode::Private)?;
        Ok(())
    }

    /// The bytes of the file.
    fn to_bytes(&self) -> Vec<u8> {
        let mut document = Map::new();
        if let Some(default) = &self.default {
            document.insert("default".to_owned(), default.clone().into());
        }
        let entries = self.entries.iter().cloned().map(Value::Object).collect();
        document.insert("keys".to_owned(), Value::Array(entries));
        for (name, value) in &self.document {
            if name != "default" {
                document.insert(name.clone(), value.clone());
            }
        }
        to_go_json(&Value::Object(document))
    }
}

/// Whether a removed key was the default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WasDefault {
    /// It was; there is no default now.
    Yes,
    /// It was not.
    No,
}

/// JSON as Go's encoder writes it with an indentation of four spaces and a newline at the end.
fn to_go_json(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(value, &mut serializer)
        .expect("a JSON value is always written to memory");
    // These characters only stand in texts, where an escape means the same.
    let mut escaped = Vec::with_capacity(bytes.len() + 1);
    for byte in bytes {
        match byte {
            b'<' => escaped.extend_from_slice(b"\\u003c"),
            b'>' => escaped.extend_from_slice(b"\\u003e"),
            b'&' => escaped.extend_from_slice(b"\\u0026"),
            _ => escaped.push(byte),
        }
    }
    escaped.push(b'\n');
    escaped
}
