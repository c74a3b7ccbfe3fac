//! `notation plugin`, in notation's words.

use std::path::Path;

use clap::Subcommand;

use crate::cli::cert::confirmed;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::plugins::{self, PluginArgs};
use crate::plugin::{PluginDirectory, PluginError, PluginName, ProcessError};

use super::flags::exclusive;

/// Subcommands of `notation plugin`.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Install a plugin
    #[command(visible_alias = "add")]
    Install(InstallArgs),
    /// List installed plugins
    #[command(visible_alias = "ls")]
    List,
    /// Uninstall a plugin
    #[command(visible_aliases = ["remove", "rm"])]
    Uninstall(UninstallArgs),
}

impl PluginCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Install(args) => args.run(context),
            Self::List => plugins::list(context, &directory(context)?, listed),
            Self::Uninstall(args) => args.run(context),
        }
    }
}

fn directory(context: &Context) -> Result<PluginDirectory, Failure> {
    PluginArgs::default().directory(context)
}

/// What is wrong with a plugin, in the list.
fn listed(error: &PluginError) -> String {
    const HOW_TO: &str = "Use `notation plugin install` command to install the plugin";
    let program = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
    match error {
        PluginError::NotFound { path, .. } => {
            format!("plugin executable file `{}` not found. {HOW_TO}", program(path))
        }
        PluginError::NotExecutable { path } => {
            format!("plugin file `{}` is not executable. {HOW_TO}", program(path))
        }
        PluginError::Run { plugin, cause: ProcessError::Start(_), .. } => {
            format!("plugin file `notation-{plugin}` is not executable. {HOW_TO}")
        }
        error => error.to_string(),
    }
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "notation plugin install [flags] <--file|--url> <plugin_source>")]
pub(super) struct InstallArgs {
    #[arg(value_name = "plugin_source")]
    arguments: Vec<String>,
    /// Install plugin from a file on file system
    #[arg(long)]
    file: bool,
    /// Install plugin from an HTTPS URL; refused, dockseal works offline
    #[arg(long)]
    url: bool,
    /// Force the installation of the plugin
    #[arg(long)]
    force: bool,
    /// Must match SHA256 of the plugin source, required when "--url" flag is set
    #[arg(long, value_name = "string")]
    sha256sum: Option<String>,
}

impl InstallArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let Some(source) = self.arguments.first() else {
            return Err(Failure::usage(match (self.file, self.url) {
                (true, _) => "missing plugin file path",
                (_, true) => "missing plugin URL",
                _ => "missing plugin source location",
            }));
        };
        exclusive(&[("file", self.file), ("url", self.url)])?;
        if self.url {
            return Err(Failure::usage(
                "flag(s) --url in \"notation plugin install\" need a network, and this build is \
                 offline: use --file",
            ));
        }
        let (source, checksum) = (Path::new(source), self.sha256sum.as_deref());
        plugins::install(context, &directory(context)?, source, checksum, self.force)
            .map_err(|failure| failure.prefixed("plugin installation failed"))
    }
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "notation plugin uninstall [flags] <plugin_name>")]
pub(super) struct UninstallArgs {
    #[arg(value_name = "plugin_name")]
    arguments: Vec<String>,
    /// Do not prompt for confirmation
    #[arg(long, short)]
    yes: bool,
}

impl UninstallArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let Some(name) = self.arguments.first() else {
            return Err(Failure::usage("plugin name is required"));
        };
        let plugins = directory(context)?;
        let missing = || {
            let text = "To view a list of installed plugins, use `notation plugin list`";
            Failure::new(Exit::Unavailable, format!("unable to find plugin {name}.\n{text}"))
        };
        let plugin = PluginName::new(name).map_err(|_| missing())?;
        if !plugins.has(&plugin) {
            return Err(missing());
        }
        let question = format!("Are you sure you want to uninstall plugin {name:?}?");
        if !confirmed(context, self.yes, &question)? {
            return Ok(());
        }
        plugins.remove(&plugin)?;
        Ok(context.printer.line(format_args!("Successfully uninstalled plugin {plugin}"))?)
    }
}
