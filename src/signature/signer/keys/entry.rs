//! One key of the list, and its JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::ListProblem;

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

impl SigningKey {
    pub(super) fn from_json(members: &Map<String, Value>) -> Result<Self, ListProblem> {
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

    pub(super) fn to_json(&self) -> Map<String, Value> {
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
pub(super) fn text(
    members: &Map<String, Value>,
    member: &'static str,
) -> Result<Option<String>, ListProblem> {
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
