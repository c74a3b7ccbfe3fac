//! Completion through docker: `docker-generate __complete generate ma ""`.
//!
//! The answer is cobra's: one candidate a line, with its description behind a tab, then `:N`,
//! where 4 says that file names are no candidates and 0 leaves that to the shell.

use clap::CommandFactory as _;

use super::docker::Docker;
use super::{Cli, Globals};

const NO_FILES: &str = ":4\n";
const DEFAULT: &str = ":0\n";

/// Completes the last of the words that were typed.
pub(super) fn complete(typed: &[&str], describe: bool) -> String {
    let Some((current, before)) = typed.split_last() else { return DEFAULT.to_owned() };
    let words: Vec<&&str> = before.iter().filter(|word| !word.starts_with('-')).collect();
    let candidates = match words.as_slice() {
        [] => vec![("generate".to_owned(), String::new())],
        [first] if **first == "generate" => subcommands(),
        _ if current.starts_with('-') => flags(),
        _ if before.last().is_some_and(|word| takes_file(word)) => return DEFAULT.to_owned(),
        _ => images(),
    };
    let mut text = String::new();
    for (name, description) in candidates {
        if !name.starts_with(current) {
            continue;
        }
        text.push_str(&name);
        if describe && !description.is_empty() {
            text.push('\t');
            text.push_str(&description);
        }
        text.push('\n');
    }
    text + NO_FILES
}

fn takes_file(word: &str) -> bool {
    matches!(word, "-o" | "--output" | "--config" | "--tlscacert" | "--tlscert" | "--tlskey")
}

/// The clap command of `docker generate manifest`.
fn manifest() -> Option<clap::Command> {
    let mut cli = Cli::command();
    cli.build();
    Some(cli.find_subcommand("generate")?.find_subcommand("manifest")?.clone())
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn subcommands() -> Vec<(String, String)> {
    manifest()
        .map(|command| (command.get_name().to_owned(), about(command.get_about())))
        .into_iter()
        .collect()
}

fn flags() -> Vec<(String, String)> {
    let Some(command) = manifest() else { return Vec::new() };
    command
        .get_arguments()
        .filter_map(|argument| {
            Some((format!("--{}", argument.get_long()?), about(argument.get_help())))
        })
        .collect()
}

/// Names of the engine's images; none if it can't be asked.
fn images() -> Vec<(String, String)> {
    let docker = Docker::new(&Globals::default());
    let list = docker.output(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
    list.unwrap_or_default()
        .lines()
        .filter(|name| !name.contains("<none>"))
        .map(|name| (name.to_owned(), String::new()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_as_cobra_does() {
        assert_eq!(complete(&["gen"], false), "generate\n:4\n");
        let text = complete(&["generate", "ma"], true);
        assert!(text.starts_with("manifest\tPrint the manifest"), "{text}");
        assert!(text.ends_with(NO_FILES));
        assert_eq!(complete(&["generate", "ma"], false), "manifest\n:4\n");
        assert!(complete(&["generate", "manifest", "--go"], true).starts_with("--go-gzip\t"));
        assert_eq!(complete(&["generate", "manifest", "-o", ""], true), DEFAULT);
        assert_eq!(complete(&[], true), DEFAULT);
    }
}
