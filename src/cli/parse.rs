//! Parsing the arguments of the `dockseal` command.

use std::ffi::OsString;

use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand as _};

use super::{
    Cli, SharedArgs, attach, blob, digest, inspect, list, load, manifest, many, sign, usage,
};

/// The command without its subcommands.
#[derive(Debug, Parser)]
#[command(name = "dockseal", version, disable_help_subcommand = true)]
struct Alone {
    #[command(flatten)]
    _shared: SharedArgs,
}

/// Parses the arguments, the program's name among them; the name of the command, too.
///
/// Building all commands is a third of the time that signing takes, so a frequent one is built alone.
/// Errors and help are said by all.
pub(super) fn parse(arguments: &[OsString]) -> Result<(String, Cli), clap::Error> {
    match called(arguments).map(|command| parse_with(command, arguments)) {
        Some(Ok(parsed)) => Ok(parsed),
        _ => parse_with(Cli::command(), arguments),
    }
}

/// What adds its arguments to a command.
type Augment = fn(clap::Command) -> clap::Command;

/// The commands that scripts call again and again.
const FREQUENT: [(&str, Augment); 10] = [
    ("manifest", manifest::ManifestArgs::augment_args),
    ("digest", digest::DigestArgs::augment_args),
    ("sign", sign::SignArgs::augment_args),
    ("verify", many::VerifyManyArgs::augment_args),
    ("load", load::LoadArgs::augment_args),
    ("list", list::ListArgs::augment_args),
    ("inspect", inspect::InspectArgs::augment_args),
    ("attach", attach::AttachArgs::augment_args),
    ("detach", attach::DetachArgs::augment_args),
    ("blob", blob::BlobCommand::augment_subcommands),
];

/// A frequent command that is called by its name, behind options at most, without the others.
fn called(arguments: &[OsString]) -> Option<clap::Command> {
    let is_option = |argument: &&OsString| argument.as_encoded_bytes().starts_with(b"-");
    let called = arguments.iter().skip(1).find(|argument| !is_option(argument))?;
    let (name, augment) = FREQUENT.iter().find(|(name, _)| called == name)?;
    Some(Alone::command().subcommand(augment(clap::Command::new(*name))))
}

fn parse_with(
    mut command: clap::Command,
    arguments: &[OsString],
) -> Result<(String, Cli), clap::Error> {
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let name = usage::command(&matches);
    let cli = Cli::from_arg_matches_mut(&mut matches);
    let cli = cli.map_err(|error| error.format(&mut command))?;
    // The process is too short to take it apart.
    std::mem::forget(command);
    Ok((name, cli))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What clap makes of the arguments with all commands built.
    fn with_all(arguments: &[OsString]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(arguments)
    }

    #[test]
    fn a_command_built_alone_has_the_same_arguments() {
        fn arguments(command: &clap::Command) -> Vec<String> {
            let own = command.get_arguments().filter(|it| !it.is_global_set());
            own.map(|it| format!("{it:?}"))
                .chain(command.get_subcommands().flat_map(arguments))
                .collect()
        }
        let mut all = Cli::command();
        all.build();
        for (name, _) in FREQUENT {
            let mut alone = called(&["dockseal".into(), name.into()]).unwrap();
            alone.build();
            let [alone, of_all] =
                [&alone, &all].map(|it| arguments(it.find_subcommand(name).unwrap()));
            assert!(alone.len() > 1 && alone == of_all, "{name}");
        }
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
        }
    }
}
