//! Parsing the arguments of the `dockseal` command.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use super::{Cli, SharedArgs, usage};

/// The command without its subcommands.
#[derive(Debug, Parser)]
#[command(name = "dockseal", version, disable_help_subcommand = true)]
struct Alone {
    #[command(flatten)]
    _shared: SharedArgs,
}

/// Parses the arguments, the program's name among them; the name of the command, too.
///
/// Every command gets a copy of the options that all have, so one that is called by its name is
/// built alone: a tenth of the time that a process takes to start. What is said is the same.
pub(super) fn parse(arguments: &[OsString]) -> Result<(String, Cli), clap::Error> {
    let all = Cli::command();
    let name = arguments.get(1).and_then(|argument| argument.to_str());
    let mut command = match name.and_then(|name| all.find_subcommand(name)) {
        Some(called) => Alone::command().subcommand(called.clone()),
        None => all,
    };
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let name = usage::command(&matches);
    let cli = Cli::from_arg_matches_mut(&mut matches);
    Ok((name, cli.map_err(|error| error.format(&mut command))?))
}

#[cfg(test)]
mod tests {
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
