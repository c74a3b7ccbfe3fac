//! `dockseal completion`, and what its scripts ask: `dockseal __complete N WORD...`.
//!
//! The scripts know neither commands nor names: they hand over the words that were typed, without
//! the program's name, and N, which of them is to be completed. The answer has one candidate a line,
//! with its description behind a tab. Nothing is asked that is not on this host, and nobody is
//! waited for longer than a second.

mod values;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Format, Printer, Verbosity};

/// The first argument of a question.
const QUESTION: &str = "__complete";

// Arguments of `dockseal completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal completion bash > ~/.local/share/bash-completion/completions/dockseal
  dockseal completion zsh > ~/.local/share/zsh/site-functions/_dockseal
  dockseal completion fish > ~/.config/fish/completions/dockseal.fish
  dockseal completion powershell >> $PROFILE")]
pub(super) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl CompletionArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        use clap_complete::Shell;

        let script = match self.shell {
            Shell::Bash => include_str!("dockseal.bash"),
            Shell::Fish => include_str!("dockseal.fish"),
            Shell::PowerShell => include_str!("dockseal.ps1"),
            Shell::Zsh => include_str!("_dockseal"),
            // Commands and options only.
            other => {
                let mut script = Vec::new();
                let mut command = super::Cli::command();
                clap_complete::generate(other, &mut command, "dockseal", &mut script);
                return Ok(context.printer.data(&script)?);
            }
        };
        Ok(context.printer.data(script.as_bytes())?)
    }
}

/// Answers a script, if it is one that asks.
pub(super) fn answer(arguments: &[OsString]) -> Option<ExitCode> {
    let [_, first, question @ ..] = arguments else { return None };
    if first != QUESTION {
        return None;
    }
    let printer = Printer::new(Verbosity::Quiet, Format::Text);
    let mut text = String::new();
    for candidate in candidates(question) {
        text.push_str(&candidate.get_value().to_string_lossy());
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        if let Some(help) = help.lines().next().filter(|line| !line.is_empty()) {
            text.push('\t');
            text.push_str(help);
        }
        text.push('\n');
    }
    Some(if printer.data(text.as_bytes()).is_ok() { Exit::Ok } else { Exit::Internal }.into())
}

/// Candidates for the word whose number comes first. Shells leave out an empty word at the end.
fn candidates(question: &[OsString]) -> Vec<CompletionCandidate> {
    let Some((number, typed)) = question.split_first() else { return Vec::new() };
    let number = number.to_str().and_then(|number| number.parse::<usize>().ok());
    let Some(number) = number.filter(|number| *number > 0) else { return Vec::new() };
    let mut words: Vec<_> =
        [OsString::from("dockseal")].into_iter().chain(typed.iter().cloned()).collect();
    words.truncate(number + 1);
    match number.checked_sub(words.len()) {
        None => {}
        Some(0) => words.push(OsString::new()),
        Some(_) => return Vec::new(),
    }
    let mut command = super::Cli::command();
    command.build();
    let mut command = teach(command, "");
    let directory = env::current_dir().ok();
    let found = complete(&mut command, words, number, directory.as_deref()).unwrap_or_default();
    let is_one_line = |value: &str| !value.contains(['\n', '\t']);
    found
        .into_iter()
        .filter(|candidate| !candidate.is_hide_set())
        .filter(|candidate| is_one_line(&candidate.get_value().to_string_lossy()))
        .collect()
}

/// Gives the arguments of a command, and of those below it, who knows their values. `path` are the
/// names of the command without the program's.
fn teach(command: clap::Command, path: &str) -> clap::Command {
    let command = command.mut_args(|argument| match values::of(path, &argument) {
        Some(known) => argument.add(ArgValueCompleter::new(known)),
        None => argument,
    });
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        teach(below, path.trim_start())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(words: &[&str]) -> Vec<String> {
        let number = OsString::from(words.len().to_string());
        let words = words.iter().map(OsString::from);
        let found = candidates(&[number].into_iter().chain(words).collect::<Vec<_>>());
        found.iter().map(|it| it.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_and_options() {
        assert_eq!(complete(&["mani"]), ["manifest"]);
        assert_eq!(complete(&["cert", "li"]), ["list"]);
        assert_eq!(complete(&["manifest", "--go-g"]), ["--go-gzip"]);
        assert_eq!(complete(&["completion", "po"]), ["powershell"]);
        assert!(complete(&["manifest", "docker-"]).contains(&"docker-daemon:".to_owned()));
        // An empty last word may be missing; what follows the word doesn't matter.
        let found =
            |words: &[&str]| candidates(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(found(&["2", "cert"]), found(&["2", "cert", ""]));
        assert_eq!(found(&["2", "cert", "li", "x"]), found(&["2", "cert", "li"]));
        for nonsense in [&[][..], &["x"], &["0", "a"], &["99", "a"], &["-1"]] {
            assert_eq!(found(nonsense), [], "{nonsense:?}");
        }
    }

    /// Whoever renames an argument is told that nobody knows its values any more.
    #[test]
    fn every_rule_is_about_an_argument() {
        fn collect(command: &clap::Command, path: &str, all: &mut Vec<(String, clap::Arg)>) {
            all.extend(command.get_arguments().map(|it| (path.to_owned(), it.clone())));
            for below in command.get_subcommands() {
                collect(below, format!("{path} {}", below.get_name()).trim_start(), all);
            }
        }
        let mut command = super::super::Cli::command();
        command.build();
        let mut all = Vec::new();
        collect(&command, "", &mut all);
        for rule in values::RULES {
            let fits = all.iter().any(|(path, argument)| rule.is_about(path, argument));
            assert!(fits, "{rule:?}");
        }
    }
}
