//! Parsing as pflag does, and errors as cobra words them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _};

use super::Cli;

/// Why no command runs.
pub(super) enum Stop {
    /// Help was asked for.
    Help(String),
    /// The arguments are wrong.
    Error(String),
}

/// Parses the process's own arguments.
pub(super) fn parse() -> Result<Cli, Stop> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    parse_from(&arguments)
}

fn parse_from(arguments: &[OsString]) -> Result<Cli, Stop> {
    let mut command = as_pflag(Cli::command());
    let parsed = command
        .try_get_matches_from_mut(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // The help shows switches as switches.
            let plain = Cli::command().try_get_matches_from(arguments).err();
            let plain = plain.filter(|plain| plain.kind() == error.kind());
            Stop::Help(plain.unwrap_or(error).render().to_string())
        }
        _ => Stop::Error(word(&error, arguments)),
    })
}

/// pflag's rules: a switch may have a value (`--force=false`), and whatever follows a flag that
/// wants one is its value, hyphen or not.
fn as_pflag(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .value_parser(ValueParser::new(parse_bool)),
        ArgAction::Set | ArgAction::Append if !arg.is_positional() => arg.allow_hyphen_values(true),
        _ => arg,
    });
    command.mut_subcommands(as_pflag)
}

/// A path that may be empty; what is wrong with that, the commands say.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Go's `strconv.ParseBool`.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// Go's `strconv.ParseInt` in its decimal form.
pub(super) fn parse_int(text: &str) -> Result<i64, String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let problem = match text.parse() {
        Ok(number) => return Ok(number),
        Err(_) if is_number(text.strip_prefix(['+', '-']).unwrap_or(text)) => "value out of range",
        Err(_) => "invalid syntax",
    };
    Err(format!("strconv.ParseInt: parsing {text:?}: {problem}"))
}

/// What cobra says of an error.
fn word(error: &clap::Error, arguments: &[OsString]) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let invalid = text(ContextKind::InvalidArg).unwrap_or_default();
    // `--key <string>` and `--key[=<bool>]`: the flag alone.
    let flag = invalid.split([' ', '=', '[']).next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => match invalid.strip_prefix("--") {
            Some(name) => format!("unknown flag: --{}", name.split('=').next().unwrap_or(name)),
            None if invalid.starts_with('-') => unknown_shorthand(invalid, arguments),
            None => format!("unknown command {invalid:?} for \"notation\""),
        },
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let group = group(arguments, name);
            format!("unknown command {name:?} for \"{group}\"\nRun '{group} --help' for usage.")
        }
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue) == Some("") => {
            match arguments.last().and_then(|last| last.to_str()) {
                // The last argument is the flag itself, maybe as the last of several shorthands.
                Some(last) if last.starts_with('-') && !last.starts_with("--") => {
                    let shorthand = last.chars().last().unwrap_or('-');
                    format!("flag needs an argument: '{shorthand}' in -{shorthand}")
                }
                _ => format!("flag needs an argument: {flag}"),
            }
        }
        ErrorKind::ValueValidation => {
            let value = text(ContextKind::InvalidValue).unwrap_or_default();
            let reason = std::error::Error::source(error).map(ToString::to_string);
            let flag = with_shorthand(flag);
            format!(
                "invalid argument {value:?} for {flag:?} flag: {}",
                reason.unwrap_or_else(|| "invalid value".to_owned())
            )
        }
        _ => {
            let rendered = error.render().to_string();
            let line = rendered.lines().next().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_owned()
        }
    }
}

fn unknown_shorthand(invalid: &str, arguments: &[OsString]) -> String {
    let letter = invalid.chars().nth(1).unwrap_or('-');
    let written = arguments.iter().filter_map(|it| it.to_str()).find(|it| {
        it.strip_prefix('-').is_some_and(|it| !it.starts_with('-') && it.contains(letter))
    });
    format!("unknown shorthand flag: '{letter}' in {}", written.unwrap_or(invalid))
}

/// The command whose subcommand `unknown` should be.
fn group(arguments: &[OsString], unknown: &str) -> String {
    let mut command = Cli::command();
    let mut path = "notation".to_owned();
    for word in arguments.iter().skip(1).filter_map(|it| it.to_str()) {
        let Some(found) = command.find_subcommand(word).filter(|_| word != unknown) else {
            continue;
        };
        let found = found.clone();
        path = format!("{path} {}", found.get_name());
        command = found;
    }
    path
}

/// A flag with its shorthand, as cobra names it.
fn with_shorthand(flag: &str) -> String {
    match flag {
        "--expiry" => "-e, --expiry".to_owned(),
        "--bits" => "-b, --bits".to_owned(),
        _ => flag.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
        as_pflag(Cli::command()).debug_assert();
    }

    #[test]
    fn errors_are_worded_as_cobra_does() {
        for (line, expected) in [
            ("sign --x", "unknown flag: --x"),
            ("sign --x=y", "unknown flag: --x"),
            ("sign -x", "unknown shorthand flag: 'x' in -x"),
            ("sign -dx", "unknown shorthand flag: 'x' in -dx"),
            ("sign --key", "flag needs an argument: --key"),
            ("sign -k", "flag needs an argument: 'k' in -k"),
            ("sign -dk", "flag needs an argument: 'k' in -k"),
            ("inspect --oci-layout a", "unknown flag: --oci-layout"),
            ("--version", "unknown flag: --version"),
            (
                "sign -e 1d x",
                "invalid argument \"1d\" for \"-e, --expiry\" flag: time: unknown unit \"d\" in \
                 duration \"1d\"",
            ),
            (
                "verify --max-signatures x a",
                "invalid argument \"x\" for \"--max-signatures\" flag: strconv.ParseInt: parsing \
                 \"x\": invalid syntax",
            ),
            (
                "verify --insecure-registry=x a",
                "invalid argument \"x\" for \"--insecure-registry\" flag: strconv.ParseBool: \
                 parsing \"x\": invalid syntax",
            ),
            (
                "bogus",
                "unknown command \"bogus\" for \"notation\"\nRun 'notation --help' for usage.",
            ),
            (
                "cert bogus",
                "unknown command \"bogus\" for \"notation certificate\"\nRun 'notation certificate \
                 --help' for usage.",
            ),
        ] {
            let arguments: Vec<_> = format!("notation {line}").split(' ').map(Into::into).collect();
            match parse_from(&arguments) {
                Err(Stop::Error(text)) => assert_eq!(text, expected, "{line}"),
                _ => panic!("{line} must be an error"),
            }
        }
    }

    #[test]
    fn flags_are_pflags() {
        for line in [
            "sign -e -1h --key -x --oci-layout=false a",
            "sign --key a --key b -m a=b -m c=d a",
            "blob sign --force=1 --timestamp-url= a",
            "verify a -v",
            "cert generate-test -b2048 a",
            "sign --timestamp-url= --timestamp-root-cert= a",
        ] {
            let arguments: Vec<_> = format!("notation {line}").split(' ').map(Into::into).collect();
            match parse_from(&arguments) {
                Ok(_) => {}
                Err(Stop::Error(text) | Stop::Help(text)) => panic!("{line}: {text}"),
            }
        }
    }
}
