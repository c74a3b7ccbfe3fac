//! What cobra and notation check of flags, and the flags that several verbs have.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::SignedDuration;

use crate::cli::context::{self, Context};
use crate::cli::duration;
use crate::cli::failure::Failure;
use crate::cli::plugins::PluginArgs;
use crate::cli::sign::{FormatArgs, KeyArgs, KeySigner};
use crate::cli::subject::user_metadata;
use crate::sign::SignOptions;
use crate::signature::envelope::EnvelopeFormat;

/// A flag and whether it is given.
pub(super) type Given = (&'static str, bool);

/// The only argument. notation ignores what comes after it; here that is an error, because nobody
/// would be told that it was not verified.
pub(super) fn only<'a, T>(arguments: &'a [T], missing: &str) -> Result<&'a T, Failure> {
    match arguments {
        [only] => Ok(only),
        [] => Err(Failure::usage(missing)),
        more => Err(surplus(1, more.len())),
    }
}

/// No argument.
pub(super) fn none<T>(arguments: &[T]) -> Result<(), Failure> {
    if arguments.is_empty() { Ok(()) } else { Err(surplus(0, arguments.len())) }
}

/// More arguments than a command takes.
pub(super) fn surplus(wanted: usize, found: usize) -> Failure {
    Failure::usage(format!("accepts {wanted} arg(s), received {found}"))
}

/// Experimental flags: an error unless they are enabled, else a warning (spec/notation.md §10.1).
pub(super) fn gate(context: &Context, command: &str, flags: &[Given]) -> Result<(), Failure> {
    let given: Vec<_> = given(flags).map(|flag| format!("--{flag}")).collect();
    if given.is_empty() {
        return Ok(());
    }
    if !context::is_experimental() {
        return Err(Failure::usage(format!(
            "flag(s) {} in {command:?} is experimental and not enabled by default. To use, please \
             set NOTATION_EXPERIMENTAL=1 environment variable",
            given.join(",")
        )));
    }
    context.printer.warning(
        "This feature is experimental and may not be fully tested or completed and may be \
         deprecated. Report any issues to \"https://github/notaryproject/notation\"",
    );
    Ok(())
}

fn given(flags: &[Given]) -> impl Iterator<Item = &'static str> {
    flags.iter().filter(|(_, given)| *given).map(|(flag, _)| *flag)
}

/// cobra's `MarkFlagRequired`.
pub(super) fn required(flags: &[Given]) -> Result<(), Failure> {
    let mut missing: Vec<_> = flags.iter().filter(|(_, given)| !given).map(|it| it.0).collect();
    missing.sort_unstable();
    match missing.as_slice() {
        [] => Ok(()),
        missing => {
            let names: Vec<_> = missing.iter().map(|flag| format!("{flag:?}")).collect();
            Err(Failure::usage(format!("required flag(s) {} not set", names.join(", "))))
        }
    }
}

/// cobra's `MarkFlagsRequiredTogether`.
pub(super) fn together(group: &[Given]) -> Result<(), Failure> {
    let mut missing: Vec<_> = group.iter().filter(|(_, given)| !given).map(|it| it.0).collect();
    if missing.is_empty() || missing.len() == group.len() {
        return Ok(());
    }
    missing.sort_unstable();
    Err(Failure::usage(format!(
        "if any flags in the group [{}] are set they must all be set; missing [{}]",
        names(group),
        missing.join(" ")
    )))
}

/// cobra's `MarkFlagsMutuallyExclusive`.
pub(super) fn exclusive(group: &[Given]) -> Result<(), Failure> {
    let mut set: Vec<_> = given(group).collect();
    if set.len() < 2 {
        return Ok(());
    }
    set.sort_unstable();
    Err(Failure::usage(format!(
        "if any flags in the group [{}] are set none of the others can be; [{}] were all set",
        names(group),
        set.join(" ")
    )))
}

fn names(group: &[Given]) -> String {
    group.iter().map(|(flag, _)| *flag).collect::<Vec<_>>().join(" ")
}

/// `key=value` pairs of a repeatable flag; the last one of a key counts.
pub(super) fn pairs(values: &[String], flag: &str) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |value: &String| {
        user_metadata(value)
            .map_err(|reason| Failure::usage(format!("could not parse flag {flag}: {reason}")))
    };
    values.iter().map(pair).collect()
}

/// What plugins are told.
pub(super) fn plugins(config: &[String]) -> Result<PluginArgs, Failure> {
    Ok(PluginArgs::with_config(pairs(config, "plugin-config")?))
}

/// Which key signs, and how.
#[derive(Debug, clap::Args)]
pub(super) struct SignerFlags {
    /// Signature envelope format, options: "jws", "cose" (default "jws")
    #[arg(long, value_name = "string")]
    signature_format: Option<String>,
    /// Signing key name, for a key previously added to notation's key list. This is mutually
    /// exclusive with the --id and --plugin flags
    #[arg(long, short, value_name = "string")]
    key: Option<String>,
    /// Key id (required if --plugin is set). This is mutually exclusive with the --key flag
    #[arg(long, value_name = "string")]
    id: Option<String>,
    /// Signing plugin name (required if --id is set). This is mutually exclusive with the --key
    /// flag
    #[arg(long, value_name = "string")]
    plugin: Option<String>,
    /// {key}={value} pairs that are passed as it is to a plugin, refer plugin's documentation to
    /// set appropriate values
    #[arg(long, value_name = "stringArray")]
    plugin_config: Vec<String>,
    /// Optional expiry that provides a "best by use" time for the artifact, for example 12h, 30m,
    /// 3h20m
    #[arg(long, short, value_name = "duration", value_parser = duration::parse_go)]
    expiry: Option<SignedDuration>,
    /// {key}={value} pairs that are added to the signature payload
    #[arg(long, short = 'm', value_name = "stringArray")]
    user_metadata: Vec<String>,
}

impl SignerFlags {
    /// The groups of flags that need or exclude each other.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let (key, id, plugin) = (self.key.is_some(), self.id.is_some(), self.plugin.is_some());
        together(&[("id", id), ("plugin", plugin)])?;
        exclusive(&[("key", key), ("id", id)])?;
        exclusive(&[("key", key), ("plugin", plugin)])
    }

    /// Opens the key.
    pub(super) fn signer(&self, context: &Context) -> Result<KeySigner, Failure> {
        let plugins = plugins(&self.plugin_config)?;
        let (plugin, id) = (self.plugin.clone(), self.id.clone());
        KeyArgs::with_plugins(self.key.clone(), plugin, id, plugins).signer(context)
    }

    /// What is signed besides the artifact.
    pub(super) fn options(&self, context: &Context) -> Result<SignOptions, Failure> {
        let format = self.format(context)?;
        Ok(SignOptions {
            format,
            user_metadata: pairs(&self.user_metadata, "user-metadata")?,
            ..SignOptions::at(context.now)
        })
    }

    fn format(&self, context: &Context) -> Result<EnvelopeFormat, Failure> {
        match self.signature_format.as_deref() {
            None => FormatArgs { signature_format: None }.format(context),
            Some(name) => envelope_format(name),
        }
    }

    /// How long the signature is valid; notation checks it last.
    pub(super) fn expiry(&self) -> Result<Option<SignedDuration>, Failure> {
        match self.expiry {
            Some(expiry) if expiry.is_negative() => {
                Err(Failure::usage("expiry duration cannot be a negative value"))
            }
            Some(expiry) if expiry.subsec_nanos() != 0 => {
                Err(Failure::usage("expiry duration supports minimum granularity of seconds"))
            }
            expiry => Ok(expiry.filter(|expiry| !expiry.is_zero())),
        }
    }
}

/// The format with this name.
pub(super) fn envelope_format(name: &str) -> Result<EnvelopeFormat, Failure> {
    match name {
        "jws" => Ok(EnvelopeFormat::Jws),
        "cose" => Ok(EnvelopeFormat::Cose),
        _ => Err(Failure::usage(format!(
            "signature format {name:?} not supported\nSupported signature envelope formats are \
             \"jws\" and \"cose\""
        ))),
    }
}

/// Flags for registries, which this build does not ask.
#[derive(Debug, clap::Args)]
pub(super) struct RegistryFlags {
    /// For registries only; refused, dockseal works offline
    #[arg(long, short, value_name = "string")]
    username: Option<String>,
    /// For registries only; refused, dockseal works offline
    #[arg(long, short, value_name = "string")]
    password: Option<String>,
    /// For registries only; refused, dockseal works offline
    #[arg(long)]
    insecure_registry: bool,
}

impl RegistryFlags {
    /// Refuses what only makes sense with a registry, in one line.
    pub(super) fn refuse(&self, command: &str, others: &[Given]) -> Result<(), Failure> {
        let own = [
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("insecure-registry", self.insecure_registry),
        ];
        let mut text = String::new();
        for flag in given(&own).chain(given(others)) {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a string does not fail.
            let _ = write!(text, "{comma}--{flag}");
        }
        if text.is_empty() {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "flag(s) {text} in {command:?} need a registry, and this build is offline"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_worded_as_cobra_does() {
        let message = |result: Result<(), Failure>| result.unwrap_err().message;
        let together = |a, b| together(&[("oci-layout", a), ("scope", b)]);
        assert!(together(false, false).is_ok() && together(true, true).is_ok());
        assert_eq!(
            message(together(true, false)),
            "if any flags in the group [oci-layout scope] are set they must all be set; missing \
             [scope]"
        );
        let exclusive = |a, b| exclusive(&[("key", a), ("id", b)]);
        assert!(exclusive(true, false).is_ok());
        assert_eq!(
            message(exclusive(true, true)),
            "if any flags in the group [key id] are set none of the others can be; [id key] were \
             all set"
        );
        assert_eq!(
            message(required(&[("type", false), ("store", false)])),
            "required flag(s) \"store\", \"type\" not set"
        );
    }

    #[test]
    fn the_last_of_a_key_counts() {
        let values = ["a=b", "a=c=d"].map(str::to_owned);
        assert_eq!(pairs(&values, "x").unwrap(), [("a".into(), "c=d".into())].into());
        let error = pairs(&["a".to_owned()], "user-metadata").unwrap_err();
        assert_eq!(
            error.message,
            "could not parse flag user-metadata: key-value pair requires \"=\" as separator"
        );
    }
}
