//! Completion through docker: `docker-generate __complete generate ma ""`.
//!
//! The answer is cobra's: one candidate a line, with its description behind a tab, then `:N`,
//! where 4 says that file names are no candidates and 0 leaves that to the shell.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::builder::StyledStr;
use clap::{Arg, CommandFactory as _, Parser as _};

use super::docker::Docker;
use super::{Cli, Globals};

/// How long docker may take while somebody waits; its engine may be anywhere.
const PATIENCE: Duration = Duration::from_secs(2);

const NO_FILES: &str = ":4\n";
const DEFAULT: &str = ":0\n";

/// Options whose values are files or directories; the shell completes those.
const FILES: [&str; 5] = ["output", "config", "tlscacert", "tlscert", "tlskey"];
/// Options with few values.
const VALUES: [(&str, &[&str]); 2] =
    [("go_gzip", &["go1.8", "go1.27"]), ("push_from", &["writer", "graph", "containerd"])];

type Candidates = Vec<(String, String)>;

/// Completes the last of the words that were typed. What can't be completed is left to the shell.
pub(super) fn complete(typed: &[&str], describe: bool) -> String {
    candidates(typed).map_or_else(|| DEFAULT.to_owned(), |all| render(&all, typed, describe))
}

fn candidates(typed: &[&str]) -> Option<Candidates> {
    let (current, before) = typed.split_last()?;
    let manifest = manifest()?;
    let (words, open) = words(&manifest, before);
    if let Some(option) = open {
        return values(option);
    }
    if current.starts_with('-') {
        return Some(flags(&manifest));
    }
    Some(match words.as_slice() {
        [] | ["help"] => vec![("generate".to_owned(), String::new())],
        ["generate"] | ["help", "generate"] => {
            vec![(manifest.get_name().to_owned(), about(manifest.get_about()))]
        }
        ["generate", "manifest"] | ["manifest"] => return images(before),
        // There is one image.
        _ => Vec::new(),
    })
}

fn render(candidates: &Candidates, typed: &[&str], describe: bool) -> String {
    let current = typed.last().copied().unwrap_or_default();
    let mut text = String::new();
    for (name, description) in candidates.iter().filter(|(name, _)| name.starts_with(current)) {
        text.push_str(name);
        if describe && !description.is_empty() {
            text.push('\t');
            text.push_str(description);
        }
        text.push('\n');
    }
    text + NO_FILES
}

/// The words that are neither options nor their values, and the option whose value comes next.
fn words<'a, 'c>(
    manifest: &'c clap::Command,
    before: &[&'a str],
) -> (Vec<&'a str>, Option<&'c Arg>) {
    let mut words = Vec::new();
    let mut open = None;
    for word in before {
        if open.take().is_some() {
            continue;
        }
        if word.starts_with('-') {
            open = manifest.get_arguments().find(|it| is_option(it, word));
        } else {
            words.push(*word);
        }
    }
    (words, open)
}

/// Whether the word is this option, and its value is the next word.
fn is_option(argument: &Arg, word: &str) -> bool {
    let long = || word.strip_prefix("--").is_some_and(|name| argument.get_long() == Some(name));
    let short = || {
        let mut letters = word.chars().skip(1);
        letters.next().is_some_and(|letter| argument.get_short() == Some(letter))
            && letters.next().is_none()
    };
    // `--tls=false` is one word.
    let separate = argument.get_action().takes_values() && !argument.is_require_equals_set();
    separate && (long() || short())
}

/// Values of an option; `None` leaves them to the shell.
fn values(option: &Arg) -> Option<Candidates> {
    let id = option.get_id().as_str();
    if FILES.contains(&id) {
        return None;
    }
    let known = VALUES.iter().find(|(name, _)| *name == id).map_or(&[][..], |(_, values)| values);
    Some(known.iter().map(|value| ((*value).to_owned(), String::new())).collect())
}

/// The clap command of `docker generate manifest`.
fn manifest() -> Option<clap::Command> {
    let mut cli = Cli::command();
    cli.build();
    Some(cli.find_subcommand("generate")?.find_subcommand("manifest")?.clone())
}

fn about(text: Option<&StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn flags(command: &clap::Command) -> Candidates {
    command
        .get_arguments()
        .filter_map(|argument| {
            Some((format!("--{}", argument.get_long()?), about(argument.get_help())))
        })
        .collect()
}

/// Names of the images of the engine that the options name; `None` if it can't be asked.
fn images(before: &[&str]) -> Option<Candidates> {
    // Options that are wrong are no reason to complete nothing: docker will say so.
    let line = std::iter::once(&"docker-generate").chain(before);
    let globals = Cli::try_parse_from(line).map_or_else(|_| Globals::default(), |cli| cli.globals);
    let line = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"];
    let list = Docker::new(&globals).output(&line, PATIENCE)?;
    // The client lists the names of one image in any order.
    let named: BTreeSet<_> = list.lines().filter(|name| !name.contains("<none>")).collect();
    Some(named.into_iter().map(|name| (name.to_owned(), String::new())).collect())
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

    #[test]
    fn values_of_options_are_no_words() {
        for before in [
            &["--context", "ctx", "generate"][..],
            &["-D", "-H", "unix:///x", "generate"],
            &["generate", "-c", "ctx"],
            &["--log-level=warn", "generate"],
            &["help", "generate"],
        ] {
            let typed = [before, &["ma"]].concat();
            assert_eq!(complete(&typed, false), "manifest\n:4\n", "{before:?}");
        }
        assert_eq!(complete(&["help", ""], false), "generate\n:4\n");
        assert_eq!(complete(&["manifest", "--go-gzip", "go1.2"], false), "go1.27\n:4\n");
        assert_eq!(complete(&["generate", "manifest", "--push-from", "g"], false), "graph\n:4\n");
        assert_eq!(complete(&["generate", "manifest", "--platform", ""], false), NO_FILES);
        assert_eq!(complete(&["generate", "manifest", "app:1", ""], false), NO_FILES);
    }
}
