//! `notation key`: dockseal's own commands, with notation's checks of arguments.

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::key;
use crate::signature::signer::keys::SigningKeys;

use super::flags::{none, only, pairs, required};

/// Subcommands of `notation key`.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Add key to Notation signing key list
    Add(AddArgs),
    /// List keys used for signing
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Update key in Notation signing key list
    #[command(visible_alias = "set")]
    Update(UpdateArgs),
    /// Remove key from Notation signing key list
    Delete(DeleteArgs),
}

impl KeyCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Add(args) => args.run(context),
            Self::List(args) => {
                none(&args.arguments)?;
                key::list(context)
            }
            Self::Update(args) => args.run(context),
            Self::Delete(args) => args.run(context),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "notation key add --plugin <plugin_name> [flags] <key_name>")]
pub(super) struct AddArgs {
    #[arg(value_name = "key_name")]
    arguments: Vec<String>,
    /// Signing plugin name
    #[arg(long, value_name = "string")]
    plugin: Option<String>,
    /// Key id (required if --plugin is set)
    #[arg(long, value_name = "string")]
    id: Option<String>,
    /// {key}={value} pairs that are passed as it is to a plugin, refer plugin's documentation to
    /// set appropriate values
    #[arg(long, value_name = "stringArray")]
    plugin_config: Vec<String>,
    /// Mark as default
    #[arg(long)]
    default: bool,
}

impl AddArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let [name] = self.arguments.as_slice() else {
            return Err(Failure::usage("either missing key name or unnecessary parameters passed"));
        };
        required(&[("plugin", self.plugin.is_some())])?;
        if self.id.as_ref().is_none_or(String::is_empty) {
            return Err(Failure::usage("missing key id"));
        }
        let plugin_config = pairs(&self.plugin_config, "plugin-config")?.into_iter().collect();
        key::AddArgs {
            name: name.clone(),
            key_file: None,
            cert_file: None,
            plugin: self.plugin,
            id: self.id,
            plugin_config,
            default: self.default,
        }
        .run(context)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[arg(hide = true)]
    arguments: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "notation key update [flags] <key_name>")]
pub(super) struct UpdateArgs {
    #[arg(value_name = "key_name")]
    arguments: Vec<String>,
    /// Mark as default
    #[arg(long)]
    default: bool,
}

impl UpdateArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let name = only(&self.arguments, "missing key name")?.clone();
        if self.default {
            return key::UpdateArgs { name, default: true }.run(context);
        }
        SigningKeys::load(&context.dirs.config()?)?.find(Some(&name))?;
        context.printer.detail("--default flag is not set, nothing is updated");
        Ok(())
    }
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "notation key delete [flags] <key_name>...")]
pub(super) struct DeleteArgs {
    #[arg(value_name = "key_name")]
    names: Vec<String>,
}

impl DeleteArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        if self.names.is_empty() {
            return Err(Failure::usage("missing key names"));
        }
        key::DeleteArgs { names: self.names }.run(context)
    }
}
