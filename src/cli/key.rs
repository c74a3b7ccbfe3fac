//! `dockseal key`: the list of signing keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::signature::signer::keys::{KeySource, MakeDefault, SigningKey, SigningKeys, WasDefault};

use super::context::Context;
use super::failure::Failure;
use super::output::table;
use super::sign::read_pair;
use super::subject::user_metadata;

// Subcommands of `dockseal key`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum KeyCommand {
    /// Add a key: files with --key-file and --cert-file, or a plugin's key with --plugin and --id
    Add(AddArgs),
    /// List the keys; a star marks the default
    #[command(visible_alias = "ls")]
    #[command(after_help = "Example:
  dockseal key list")]
    List,
    /// Change a key
    #[command(visible_alias = "set")]
    Update(UpdateArgs),
    /// Remove keys from the list; their files stay
    #[command(visible_alias = "rm")]
    Delete(DeleteArgs),
}

impl KeyCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Add(args) => args.run(context),
            Self::List => list(context),
            Self::Update(args) => args.run(context),
            Self::Delete(args) => args.run(context),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["key_file", "plugin"]))]
#[command(after_help = "Examples:
  dockseal key add release --key-file release.key --cert-file release.chain.crt --default
  dockseal key add hsm --plugin com.example.hsm --id key1")]
pub(super) struct AddArgs {
    /// Name of the key
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(super) key_file: Option<PathBuf>,
    /// Certificate chain of the private key, PEM, leaf first
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub(super) cert_file: Option<PathBuf>,
    /// Signing plugin that has the key
    #[arg(long, value_name = "PLUGIN", requires = "id")]
    pub(super) plugin: Option<String>,
    /// The key's name for the plugin
    #[arg(long, value_name = "ID", requires = "plugin")]
    pub(super) id: Option<String>,
    /// What the plugin is told besides; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = user_metadata, requires = "plugin")]
    pub(super) plugin_config: Vec<(String, String)>,
    /// Make it the default key
    #[arg(long)]
    pub(super) default: bool,
}

impl AddArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.dirs.config()?;
        let mut keys = SigningKeys::load(&config)?;
        let default = if self.default { MakeDefault::Yes } else { MakeDefault::No };
        let key = SigningKey { name: self.name.clone(), source: Some(self.source()?) };
        keys.add(key, default)?;
        keys.save(&config)?;
        let name = &self.name;
        match default {
            MakeDefault::Yes => context.printer.line(format_args!("{name}: marked as default"))?,
            MakeDefault::No => context.printer.line(name)?,
        }
        Ok(context.printer.json(json!({"verdict": "added", "name": name}))?)
    }

    fn source(&self) -> Result<KeySource, Failure> {
        match (&self.key_file, &self.cert_file, &self.plugin, &self.id) {
            (Some(key), Some(certificates), ..) => {
                // As notation: the pair must fit before it is in the list.
                read_pair(key, certificates, None)?;
                Ok(KeySource::Local {
                    key_path: absolute(key)?,
                    cert_path: absolute(certificates)?,
                })
            }
            (_, _, Some(plugin), Some(id)) => Ok(KeySource::Plugin {
                id: id.clone(),
                plugin: plugin.clone(),
                config: self.plugin_config.iter().cloned().collect::<BTreeMap<_, _>>(),
            }),
            _ => {
                Err(Failure::usage("--key-file and --cert-file, or --plugin and --id, are needed"))
            }
        }
    }
}

/// The list is used from any directory, so its paths are absolute.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(path)?)
}

pub(super) fn list(context: &Context) -> Result<(), Failure> {
    let keys = SigningKeys::load(&context.dirs.config()?)?;
    let header = ["NAME", "KEY PATH", "CERTIFICATE PATH", "ID", "PLUGIN NAME"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for key in keys.keys() {
        let mark = if keys.default_name() == Some(&key.name) { "* " } else { "" };
        let mut row = vec![format!("{mark}{}", key.name)];
        row.extend(match &key.source {
            Some(KeySource::Local { key_path, cert_path }) => [
                key_path.display().to_string(),
                cert_path.display().to_string(),
                String::new(),
                String::new(),
            ],
            Some(KeySource::Plugin { id, plugin, .. }) => {
                [String::new(), String::new(), id.clone(), plugin.clone()]
            }
            None => Default::default(),
        });
        rows.push(row);
    }
    context.printer.text(&table(&rows))?;
    let keys: Vec<_> = keys
        .keys()
        .iter()
        .map(|key| described(key, keys.default_name() == Some(&key.name)))
        .collect();
    Ok(context.printer.json(json!({"keys": keys}))?)
}

/// A key, for programs.
fn described(key: &SigningKey, is_default: bool) -> Value {
    let (key_path, cert_path, plugin, id) = match &key.source {
        Some(KeySource::Local { key_path, cert_path }) => {
            (Some(key_path), Some(cert_path), None, None)
        }
        Some(KeySource::Plugin { id, plugin, .. }) => (None, None, Some(plugin), Some(id)),
        None => (None, None, None, None),
    };
    json!({
        "name": key.name,
        "isDefault": is_default,
        "keyPath": key_path,
        "certificatePath": cert_path,
        "plugin": plugin,
        "id": id,
    })
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal key update release --default")]
pub(super) struct UpdateArgs {
    /// Name of the key
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Make it the default key
    #[arg(long)]
    pub(super) default: bool,
}

impl UpdateArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.dirs.config()?;
        let mut keys = SigningKeys::load(&config)?;
        if !self.default {
            keys.find(Some(&self.name))?;
            context.printer.warning("--default flag is not set, nothing is updated");
            let report = json!({"verdict": "unchanged", "name": self.name});
            return Ok(context.printer.json(report)?);
        }
        keys.set_default(&self.name)?;
        keys.save(&config)?;
        context.printer.line(format_args!("{}: marked as default", self.name))?;
        Ok(context.printer.json(json!({"verdict": "updated", "name": self.name}))?)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal key delete release")]
pub(super) struct DeleteArgs {
    /// Names of the keys
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
}

impl DeleteArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.dirs.config()?;
        let mut keys = SigningKeys::load(&config)?;
        let removed = self
            .names
            .iter()
            .map(|name| keys.remove(name).map(|was| (name, was)))
            .collect::<Result<Vec<_>, _>>()?;
        keys.save(&config)?;
        for (name, was_default) in removed {
            let kind = match was_default {
                WasDefault::Yes => "default key ",
                WasDefault::No => "",
            };
            context.printer.line(format_args!(
                "Removed {kind}{name} from the key list. The source key still exists."
            ))?;
        }
        Ok(context.printer.json(json!({"verdict": "removed", "names": self.names}))?)
    }
}
