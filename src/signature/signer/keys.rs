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

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::fsutil;
use crate::image::json::{self, ReadError, Rules};

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

/// A key of the list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningKey {
    /// Its name, unique in the list.
    pub name: String,
    /// Where the key is. `None` when the entry says neither; such an entry can't sign.
    pub source: Option<KeySource>,
}

/// Where a signing key is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// In files.
    Local {
        /// The private key, PEM.
        key_path: PathBuf,
        /// Its certificate chain, PEM, leaf first.
        cert_path: PathBuf,
    },
    /// With a signing plugin.
    Plugin {
        /// The key's name for the plugin.
        id: String,
        /// The plugin.
        plugin: String,
        /// What the plugin is told besides.
        config: BTreeMap<String, String>,
    },
}

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
        let name = name.or(self.default.as_deref()).ok_or(KeysError::NoDefault)?;
        self.keys
            .iter()
            .find(|key| key.name == name)
            .ok_or_else(|| KeysError::NotFound { name: name.to_owned() })
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
            .ok_or_else(|| KeysError::NotFound { name: name.to_owned() })?;
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

impl SigningKey {
    fn from_json(members: &Map<String, Value>) -> Result<Self, ListProblem> {
        let name = text(members, "name")?.unwrap_or_default();
        let local = (text(members, "keyPath")?, text(members, "certPath")?);
        let plugin = (text(members, "id")?, text(members, "pluginName")?);
        let source = match (local, plugin) {
            ((Some(key), Some(certificate)), _) => {
                Some(KeySource::Local { key_path: key.into(), cert_path: certificate.into() })
            }
            (_, (Some(id), Some(plugin))) => {
                Some(KeySource::Plugin { id, plugin, config: plugin_config(members)? })
            }
            _ => None,
        };
        Ok(Self { name, source })
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let mut put = |name: &str, value: String| members.insert(name.to_owned(), value.into());
        put("name", self.name.clone());
        match &self.source {
            Some(KeySource::Local { key_path, cert_path }) => {
                put("keyPath", key_path.to_string_lossy().into_owned());
                put("certPath", cert_path.to_string_lossy().into_owned());
            }
            Some(KeySource::Plugin { id, plugin, config }) => {
                put("id", id.clone());
                put("pluginName", plugin.clone());
                if !config.is_empty() {
                    let config = config.iter().map(|(k, v)| (k.clone(), v.clone().into()));
                    members.insert("pluginConfig".to_owned(), Value::Object(config.collect()));
                }
            }
            None => {}
        }
        members
    }
}

/// A member that is a text; `null` means absent.
fn text(members: &Map<String, Value>, member: &'static str) -> Result<Option<String>, ListProblem> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ListProblem::Member { member }),
    }
}

fn plugin_config(members: &Map<String, Value>) -> Result<BTreeMap<String, String>, ListProblem> {
    const MEMBER: &str = "pluginConfig";
    match members.get(MEMBER) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(config)) => config
            .iter()
            .map(|(key, value)| match value {
                Value::String(value) => Ok((key.clone(), value.clone())),
                _ => Err(ListProblem::Member { member: MEMBER }),
            })
            .collect(),
        Some(_) => Err(ListProblem::Member { member: MEMBER }),
    }
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
    NoDefault,
    /// No key has the name that was asked for.
    #[error("signing key {name} not found")]
    NotFound {
        /// The name.
        name: String,
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
            Self::NoDefault => Some("dockseal key update --default NAME".to_owned()),
            Self::NotFound { .. } => Some("dockseal key list".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{
    "default": "b",
    "keys": [
        {
            "name": "a",
            "keyPath": "/k/a.key",
            "certPath": "/k/a\u0026b.crt",
            "note": 1
        },
        {
            "name": "b",
            "id": "k1",
            "pluginName": "com.example.p",
            "pluginConfig": {
                "x": "y"
            }
        }
    ],
    "unknown": {
        "z": []
    }
}
"#;

    fn local(name: &str) -> SigningKey {
        let source = KeySource::Local { key_path: "/k".into(), cert_path: "/c".into() };
        SigningKey { name: name.to_owned(), source: Some(source) }
    }

    #[test]
    fn a_list_is_read_and_written_unchanged() {
        let list = SigningKeys::parse(LIST.as_bytes()).unwrap();
        assert_eq!(list.default_name(), Some("b"));
        assert!(matches!(
            list.find(None).unwrap().source,
            Some(KeySource::Plugin { ref config, .. }) if config["x"] == "y"
        ));
        assert!(matches!(
            list.find(Some("a")).unwrap().source,
            Some(KeySource::Local { ref cert_path, .. }) if cert_path == Path::new("/k/a&b.crt")
        ));
        assert_eq!(String::from_utf8(list.to_bytes()).unwrap(), LIST);
    }

    /// The bytes of the specification (§7, observed).
    #[test]
    fn a_new_list_is_written_as_notation_does() {
        let mut list = SigningKeys::default();
        list.add(local("n"), MakeDefault::Yes).unwrap();
        assert_eq!(
            String::from_utf8(list.to_bytes()).unwrap(),
            "{\n    \"default\": \"n\",\n    \"keys\": [\n        {\n            \"name\": \"n\",\n            \"keyPath\": \"/k\",\n            \"certPath\": \"/c\"\n        }\n    ]\n}\n"
        );
    }

    #[test]
    fn keys_are_added_removed_and_made_default() {
        let mut list = SigningKeys::parse(LIST.as_bytes()).unwrap();
        assert!(matches!(list.add(local("a"), MakeDefault::No), Err(KeysError::Exists { .. })));
        assert!(matches!(list.add(local(""), MakeDefault::No), Err(KeysError::Name)));
        list.add(local("c"), MakeDefault::No).unwrap();
        assert_eq!(list.default_name(), Some("b"));
        assert_eq!(list.remove("b").unwrap(), WasDefault::Yes);
        assert!(matches!(list.find(None), Err(KeysError::NoDefault)));
        assert_eq!(list.find(Some("b")).unwrap_err().to_string(), "signing key b not found");
        list.set_default("c").unwrap();
        assert!(list.set_default("d").is_err());
        assert_eq!(list.remove("a").unwrap(), WasDefault::No);
        assert_eq!(list.keys().len(), 1);
    }

    #[test]
    fn s6_malformed_lists_are_refused() {
        for (text, reason) in [
            (r#"{"keys":[{"name":"a"},{"name":"a"}]}"#, "multiple keys with name \"a\""),
            (r#"{"keys":[{"name":""}]}"#, "key name cannot be empty"),
            (r#"{"keys":[{}]}"#, "key name cannot be empty"),
            (r#"{"default":"b","keys":[{"name":"a"}]}"#, "default key \"b\" not found"),
            (r#"{"keys":{}}"#, "member \"keys\" has an unexpected type"),
            (r#"{"keys":[1]}"#, "member \"keys\" has an unexpected type"),
            (r#"{"keys":[{"name":1}]}"#, "member \"name\" has an unexpected type"),
            (r#"{"keys":[],"keys":[]}"#, "duplicate member"),
            (r#"{"Keys":[]}"#, "differs only in letter case"),
            (r#"{"keys":[{"name":"a","keypath":"/x"}]}"#, "differs only in letter case"),
            (r#"{"keys":[]} {}"#, "trailing data"),
        ] {
            let error = SigningKeys::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(SigningKeys::parse(b"{}").unwrap().keys().is_empty());
    }
}
