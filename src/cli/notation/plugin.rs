//! `notation plugin`: the arguments are checked as notation does; managing plugins is not wired to
//! this name yet, so it is refused with the command that does it.

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;

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
    pub(super) fn run(self, _context: &Context) -> Result<(), Failure> {
        match self {
            Self::Install(args) => args.run(),
            Self::List => Err(no_plugins()),
            Self::Uninstall(args) => match args.arguments.is_empty() {
                true => Err(Failure::usage("plugin name is required")),
                false => Err(no_plugins()),
            },
        }
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
    fn run(self) -> Result<(), Failure> {
        if self.arguments.is_empty() {
            return Err(Failure::usage(match (self.file, self.url) {
                (true, _) => "missing plugin file path",
                (_, true) => "missing plugin URL",
                _ => "missing plugin source location",
            }));
        }
        exclusive(&[("file", self.file), ("url", self.url)])?;
        if self.url {
            return Err(Failure::usage(
                "flag(s) --url in \"notation plugin install\" need a network, and this build is \
                 offline: use --file",
            ));
        }
        Err(no_plugins())
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

fn no_plugins() -> Failure {
    Failure::new(Exit::Unavailable, "plugins are managed with dockseal plugin")
}
