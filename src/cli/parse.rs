//! Parsing the arguments of the `dockseal` command.

use std::ffi::OsString;

use clap::{ArgMatches, Args as _, CommandFactory as _, FromArgMatches};

use super::attach::{AttachArgs, DetachArgs};
use super::digest::DigestArgs;
use super::inspect::InspectArgs;
use super::list::ListArgs;
use super::load::LoadArgs;
use super::manifest::ManifestArgs;
use super::many::VerifyManyArgs;
use super::sign::SignArgs;
use super::{Cli, Command, SharedArgs, usage};

/// Parses the arguments, the program's name among them; the name of the command, too.
///
/// Building all commands takes a tenth of the time that signing does, so a frequent one is built alone.
/// Errors and help are said by all.
pub(super) fn parse(arguments: &[OsString]) -> Result<(String, Cli), clap::Error> {
    if let Some(parsed) = frequent(arguments) {
        return Ok(parsed);
    }
    let mut command = Cli::command();
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let name = usage::command(&matches);
    let cli = Cli::from_arg_matches_mut(&mut matches);
    Ok((name, cli.map_err(|error| error.format(&mut command))?))
}

/// How a command is built and read: its name, what adds its arguments, what takes their values.
type Frequent = (&'static str, fn(clap::Command) -> clap::Command, FromMatches);
type FromMatches = fn(&mut ArgMatches) -> Result<Command, clap::Error>;

/// The commands that scripts call again and again.
const FREQUENT: [Frequent; 9] = [
    ("manifest", ManifestArgs::augment_args, |it| read(it, Command::Manifest)),
    ("digest", DigestArgs::augment_args, |it| read(it, Command::Digest)),
    ("sign", SignArgs::augment_args, |it| read(it, Command::Sign)),
    ("verify", VerifyManyArgs::augment_args, |it| read(it, |args| Command::Verify(Box::new(args)))),
    ("load", LoadArgs::augment_args, |it| read(it, Command::Load)),
    ("list", ListArgs::augment_args, |it| read(it, Command::List)),
    ("inspect", InspectArgs::augment_args, |it| read(it, Command::Inspect)),
    ("attach", AttachArgs::augment_args, |it| read(it, Command::Attach)),
    ("detach", DetachArgs::augment_args, |it| read(it, Command::Detach)),
];

fn read<T: FromArgMatches>(
    matches: &mut ArgMatches,
    command: fn(T) -> Command,
) -> Result<Command, clap::Error> {
    T::from_arg_matches_mut(matches).map(command)
}

/// What a frequent command is told, if it is called by its name and there is nothing to say about it:
/// its arguments and those of every command are then as good as one command's.
fn frequent(arguments: &[OsString]) -> Option<(String, Cli)> {
    let [program, called, others @ ..] = arguments else { return None };
    let (name, augment, from) = FREQUENT.iter().find(|(name, ..)| called == name)?;
    let plain = clap::Command::new(*name).disable_help_flag(true).disable_version_flag(true);
    let mut command = augment(SharedArgs::augment_args(plain));
    let mut matches = command.try_get_matches_from_mut([program].into_iter().chain(others)).ok()?;
    let shared = SharedArgs::from_arg_matches_mut(&mut matches).ok()?;
    let parsed = ((*name).to_owned(), Cli { shared, command: from(&mut matches).ok()? });
    // The process is too short to take it apart.
    std::mem::forget(command);
    Some(parsed)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// What clap makes of the arguments with all commands built.
    fn with_all(arguments: &[OsString]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(arguments)
    }

    #[test]
    fn a_command_built_alone_says_the_same() {
        let mut all = Cli::command();
        all.build();
        let mut lines = vec![
            vec!["--format", "json", "verify", "a.tar"],
            vec!["verify", "--format", "json", "a.tar", "--quiet", "--verbose"],
            vec!["verify", "a.tar", "--strict-perms", "--color", "never"],
            vec!["-q", "verify", "a.tar", "--nonsense"],
            vec!["--quiet", "--strict-perms", "sign", "--help"],
            vec!["--format", "list", "verify", "a.tar"],
            vec!["--format", "list"],
            vec!["--nonsense", "verify", "a.tar"],
            vec!["--oci-layout", "sign", "a:b"],
            vec!["sign", "--oci-layout", "a:b", "--key", "c", "--format", "json"],
            vec!["verify", "-q", "-v", "a.tar"],
            vec!["verify", "-qv", "a.tar"],
            vec!["verify", "-V"],
            vec!["manifest", "--", "--help"],
            vec!["load", "a.tar", "--into", "docker"],
            vec!["attach", "a.sig", "--to", "a.tar"],
            vec!["detach", "--from", "a.tar", "-o", "a"],
            vec!["inspect", "a.tar"],
            vec!["list", "a.tar"],
            vec!["digest", "-q", "-", "--color=never"],
            vec!["--help", "verify"],
            vec!["-V", "sign"],
            vec!["--", "sign"],
            vec!["-", "sign"],
            vec!["ls", "a.tar"],
            vec!["certificate", "list", "-q"],
            vec!["sing"],
            vec!["help", "sign"],
            vec!["cert", "help", "add"],
            vec!["--version"],
            vec![],
        ];
        let names: Vec<_> = all.get_subcommands().map(|it| it.get_name().to_owned()).collect();
        for name in &names {
            for rest in
                [&[][..], &["--help"], &["-h"], &["--nonsense"], &["a", "b", "c"], &["list"]]
            {
                lines.push([&[name.as_str()], rest].concat());
            }
        }
        let mut alone = std::collections::BTreeSet::new();
        for line in lines {
            let arguments: Vec<OsString> =
                ["dockseal"].iter().chain(&line).map(|it| (*it).into()).collect();
            let text = |parsed: Result<Cli, clap::Error>| match parsed {
                Ok(cli) => format!("{cli:?}"),
                Err(error) => format!("{:?} {}", error.kind(), error.render().ansi()),
            };
            assert_eq!(
                text(parse(&arguments).map(|(_, cli)| cli)),
                text(with_all(&arguments)),
                "{line:?}"
            );
            alone.extend(frequent(&arguments).map(|(name, _)| name));
        }
        assert_eq!(alone.len(), FREQUENT.len(), "{alone:?}");
    }
}
