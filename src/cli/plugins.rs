//! `dockseal plugin`: notation's plugins. (That dockseal itself is one of docker's is
//! [`super::plugin`]'s matter.)

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::plugin::{
    DEFAULT_TIMEOUT, Installed, Metadata, PluginConfig, PluginDirectory, PluginError, PluginName,
    Replace, VerifierPlugins,
};

use super::cert::confirmed;
use super::context::Context;
use super::duration;
use super::failure::Failure;
use super::output::table;
use super::subject::user_metadata;

// What commands that may ask plugins take.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct PluginArgs {
    /// What a plugin is told besides; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = user_metadata)]
    plugin_config: Vec<(String, String)>,
    #[command(flatten)]
    timeout: TimeoutArgs,
}

impl PluginArgs {
    /// The usual patience.
    pub(super) fn with_config(config: PluginConfig) -> Self {
        Self { plugin_config: config.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn config(&self) -> PluginConfig {
        self.plugin_config.iter().cloned().collect()
    }

    pub(super) fn directory(&self, context: &Context) -> Result<PluginDirectory, Failure> {
        self.timeout.directory(context)
    }

    /// The plugins that signatures may demand.
    pub(super) fn verifiers(&self, context: &Context) -> Result<VerifierPlugins, Failure> {
        Ok(VerifierPlugins::new(self.directory(context)?, self.config()))
    }
}

// How patient we are.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct TimeoutArgs {
    /// How long a plugin may take for an answer before it is killed [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    plugin_timeout: Option<SignedDuration>,
}

impl TimeoutArgs {
    fn directory(&self, context: &Context) -> Result<PluginDirectory, Failure> {
        let timeout = match self.plugin_timeout {
            None => DEFAULT_TIMEOUT,
            Some(duration) => Duration::try_from(duration)
                .ok()
                .filter(|duration| !duration.is_zero())
                .ok_or_else(|| Failure::usage("--plugin-timeout must be longer than nothing"))?,
        };
        Ok(PluginDirectory::new(context.dirs.plugins()?, timeout))
    }
}

// Subcommands of `dockseal plugin`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum PluginCommand {
    /// Install a plugin from an archive or a program
    #[command(visible_alias = "add")]
    Install(InstallArgs),
    /// List the installed plugins; each is asked what it can do
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Remove a plugin with its files
    #[command(visible_aliases = ["remove", "rm"])]
    Uninstall(UninstallArgs),
}

impl PluginCommand {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Install(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Uninstall(args) => args.run(context),
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal plugin list")]
pub(super) struct ListArgs {
    #[command(flatten)]
    timeout: TimeoutArgs,
}

impl ListArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        list(context, &self.timeout.directory(context)?, PluginError::to_string)
    }
}

/// Prints the table of plugins; `words` are those for what is wrong with one.
pub(super) fn list(
    context: &Context,
    plugins: &PluginDirectory,
    words: impl Fn(&PluginError) -> String,
) -> Result<(), Failure> {
    let header = ["NAME", "DESCRIPTION", "VERSION", "CAPABILITIES", "ERROR"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut report = Vec::new();
    for name in plugins.names()? {
        let plugin = plugins.find(&name);
        let metadata = plugin.and_then(|plugin| plugin.metadata(&PluginConfig::new()));
        report.push(described(&name, &metadata));
        rows.push(match metadata {
            // The words for nothing are notation's.
            Ok(metadata) => {
                let capabilities = metadata.capability_list();
                vec![name, metadata.description, metadata.version, capabilities, "<nil>".into()]
            }
            Err(error) => vec![name, String::new(), String::new(), "[]".into(), words(&error)],
        });
    }
    // A plugin's words are for a terminal, in one line.
    let printable = |cell: &String| cell.replace(char::is_control, " ");
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(printable).collect()).collect();
    context.printer.text(&table(&rows))?;
    Ok(context.printer.json(json!({"plugins": report}))?)
}

/// A plugin, for programs.
fn described(name: &str, metadata: &Result<Metadata, PluginError>) -> Value {
    let known = metadata.as_ref().ok();
    let capabilities = known.map_or(&[][..], |it| &it.capabilities);
    json!({
        "name": name,
        "description": known.map(|it| &it.description),
        "version": known.map(|it| &it.version),
        "capabilities": capabilities.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
        "error": metadata.as_ref().err().map(ToString::to_string),
    })
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal plugin install --file com.example.hsm_1.2.0_linux_amd64.tar.gz --sha256sum 9f86d0...
  dockseal plugin install --file ./notation-com.example.hsm --force")]
#[command(group = clap::ArgGroup::new("from").required(true).args(["file", "url"]))]
pub(super) struct InstallArgs {
    /// A .zip or .tar.gz archive, or a program called notation-NAME
    #[arg(value_name = "SOURCE")]
    source: String,
    /// SOURCE is a file
    #[arg(long)]
    file: bool,
    /// SOURCE is an address; refused, dockseal works offline
    #[arg(long)]
    url: bool,
    /// SHA-256 that SOURCE must have
    #[arg(long, value_name = "HEX")]
    sha256sum: Option<String>,
    /// Replace a plugin of the same or a higher version, or one that does not run
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    timeout: TimeoutArgs,
}

impl InstallArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        if self.url {
            return Err(Failure::usage("dockseal works offline and loads no plugins from URLs")
                .with_hint(Some(
                    "load it elsewhere, then: dockseal plugin install --file FILE --sha256sum HEX"
                        .to_owned(),
                )));
        }
        let plugins = self.timeout.directory(context)?;
        let source = Path::new(&self.source);
        let checksum = self.sha256sum.as_deref();
        install(context, &plugins, source, checksum, self.force)
    }
}

/// Installs a plugin and says so.
pub(super) fn install(
    context: &Context,
    plugins: &PluginDirectory,
    source: &Path,
    checksum: Option<&str>,
    force: bool,
) -> Result<(), Failure> {
    let replace = if force { Replace::Any } else { Replace::Older };
    let Installed { name, version, replaced } =
        crate::plugin::install(plugins, source, checksum, replace)?;
    match &replaced {
        None => context
            .printer
            .line(format_args!("Successfully installed plugin {name}, version {version}"))?,
        Some(old) => context.printer.line(format_args!(
            "Successfully updated plugin {name} from version {old} to {version}"
        ))?,
    }
    Ok(context.printer.json(json!({
        "verdict": "installed",
        "name": name,
        "version": version,
        "replaced": replaced,
    }))?)
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  dockseal plugin uninstall --yes com.example.hsm")]
pub(super) struct UninstallArgs {
    /// Name of the plugin
    #[arg(value_name = "NAME")]
    name: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl UninstallArgs {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let name = PluginName::new(&self.name)?;
        let plugins = PluginDirectory::new(context.dirs.plugins()?, DEFAULT_TIMEOUT);
        let question = format!("Are you sure you want to uninstall plugin {:?}?", self.name);
        // What isn't there needs no question.
        if plugins.has(&name) && !confirmed(context, self.yes, &question)? {
            return Ok(context.printer.json(json!({"verdict": "kept", "name": self.name}))?);
        }
        plugins.remove(&name)?;
        context.printer.line(format_args!("Successfully uninstalled plugin {name}"))?;
        Ok(context.printer.json(json!({"verdict": "removed", "name": self.name}))?)
    }
}
