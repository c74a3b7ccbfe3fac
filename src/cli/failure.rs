//! From an error to what the user sees: exit code, message, details, hint.

mod errors;

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::context;
use super::exit::Exit;
use super::nearest::nearest;
use crate::image::hint::{self, Hint};

/// How many files are looked at for one that is called alike.
const MAX_ENTRIES: usize = 10_000;

/// Why a command failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What went wrong.
    pub(crate) message: String,
    /// Further lines.
    pub(crate) details: Vec<String>,
    /// What helps.
    pub(crate) hint: Option<Hint>,
    /// What programs are told besides.
    pub(crate) report: Option<Box<Value>>,
}

impl Failure {
    /// A failure with nothing but a code and a message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), details: Vec::new(), hint: None, report: None }
    }

    /// Wrong arguments.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The failure that is an error with all its causes.
    pub(crate) fn of(exit: Exit, error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors show their cause themselves.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        Self::new(exit, message)
    }

    /// The same failure, its message behind another one.
    #[must_use]
    pub(crate) fn prefixed(mut self, message: &str) -> Self {
        self.message = format!("{message}: {}", self.message);
        self
    }

    /// The same failure, which names the file that it is about.
    #[must_use]
    pub(crate) fn about(self, path: &Path) -> Self {
        match self.message.contains(&*path.to_string_lossy()) {
            true => self,
            false => self.prefixed(&path.display().to_string()),
        }
    }

    /// The same failure with a hint.
    #[must_use]
    pub(crate) fn with_hint<H: Into<Hint>>(mut self, hint: Option<H>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }

    /// The same failure with another line of details.
    #[must_use]
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// The same failure with what programs are told besides.
    #[must_use]
    pub(crate) fn with_report(mut self, report: Value) -> Self {
        self.report = Some(Box::new(report));
        self
    }

    /// Its hint as it can be pasted: an option stands at the end of the command that failed.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self.hint.as_ref()? {
            Hint::Option { say, words } => hint::behind(say, &context::command_line(words)?),
            hint => hint.to_string(),
        })
    }

    /// The same failure; if a name is like the one that was not found, the hint is the command with
    /// that name.
    #[must_use]
    pub(crate) fn or_nearest(self, wanted: &str, names: &[String]) -> Self {
        let near = nearest(wanted, names).and_then(|near| context::instead(wanted, near));
        self.suggesting(near.and_then(|words| Hint::command("", &words)))
    }

    /// The same failure; the hint is the command with the name that is most like the one that was
    /// not found, or else with the first of those that there are.
    #[must_use]
    pub(crate) fn or_one_of(self, wanted: &str, names: &[String]) -> Self {
        let with = |name: &String| {
            // A digest stands behind @, a tag behind a colon.
            context::instead(&format!("@{wanted}"), &format!(":{name}"))
                .or_else(|| context::instead(wanted, name))
        };
        match nearest(wanted, names) {
            Some(near) => self.suggesting(with(near).and_then(|it| Hint::command("", &it))),
            None => {
                let command = |name| Hint::command("choose one", &with(name)?);
                self.suggesting(names.iter().find_map(command))
            }
        }
    }

    /// The same failure with a better hint, if there is one.
    #[must_use]
    pub(crate) fn suggesting(self, hint: Option<Hint>) -> Self {
        if hint.is_some() { self.with_hint(hint) } else { self }
    }

    /// The same failure about a file that is not there: what is called alike, or what is there.
    #[must_use]
    pub(crate) fn or_nearest_file(self, path: &Path) -> Self {
        let directory = directory(path);
        let hint = Hint::command("", &["ls".to_owned(), hint::path(directory)]);
        match directory.is_dir() {
            true => self.suggesting(hint).or_sibling(path),
            false => self,
        }
    }

    /// The same failure about something that is a file or directory, and is not there.
    #[must_use]
    pub(crate) fn or_sibling(self, path: &Path) -> Self {
        let (Some(name), Ok(entries)) = (path.file_name(), fs::read_dir(directory(path))) else {
            return self;
        };
        let entries = entries.take(MAX_ENTRIES).flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        self.or_nearest(&name.to_string_lossy(), &names.collect::<Vec<_>>())
    }

    /// The same failure with the hint that goes with every one of its kind, if it has none; of the
    /// command that failed, such as `blob verify`.
    #[must_use]
    pub(crate) fn hinting(mut self, command: &str) -> Self {
        let is_about_files = command.starts_with("blob");
        let kind = || match self.exit {
            Exit::Usage => format!("dockseal {command} --help"),
            Exit::NotTrusted if is_about_files => "dockseal blob policy show".to_owned(),
            Exit::NotTrusted => "dockseal policy show".to_owned(),
            Exit::Expired => "dockseal help policy".to_owned(),
            Exit::Revoked => "dockseal crl list".to_owned(),
            Exit::NoSignature | Exit::InvalidSignature => "dockseal help signatures".to_owned(),
            Exit::ContentMismatch | Exit::NotDeterminable => "dockseal help digests".to_owned(),
            Exit::Malformed => "dockseal help sources".to_owned(),
            Exit::Ok | Exit::Internal | Exit::Unavailable => "dockseal doctor".to_owned(),
        };
        self.hint.get_or_insert_with(|| Hint::Text(kind()));
        self
    }

    /// What programs are told of any failure.
    pub(crate) fn members(&self) -> Value {
        json!({
            "exitCode": self.exit.code(),
            "reason": self.message,
            "details": self.details,
            "hint": self.hint(),
        })
    }

    /// Its document: what there is to report, and why it failed.
    pub(crate) fn document(&self) -> Value {
        let mut document =
            json!({"verdict": if self.exit.is_denial() { "denied" } else { "error" }});
        let report = self.report.as_deref().and_then(Value::as_object);
        let members = self.members();
        for (name, value) in report.into_iter().chain(members.as_object()).flatten() {
            document[name] = value.clone();
        }
        document
    }
}

/// Where a file is.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    /// No failure is without a hint, whatever its code and whichever command it is of, and the hints
    /// of kinds of failures can be pasted.
    #[test]
    fn every_failure_of_every_command_has_a_hint() {
        fn walk(command: &clap::Command, path: &str, paths: &mut Vec<String>) {
            for below in command.get_subcommands() {
                let path = format!("{path} {}", below.get_name());
                walk(below, path.trim(), paths);
                paths.push(path.trim().to_owned());
            }
        }
        let mut root = Cli::command();
        root.build();
        let mut paths = Vec::new();
        walk(&root, "", &mut paths);
        assert!(paths.len() > 50, "{paths:?}");
        for path in &paths {
            for exit in Exit::ALL.into_iter().filter(|exit| *exit != Exit::Ok) {
                let hint = Failure::new(exit, "no").hinting(path).hint().unwrap();
                if let Err(error) = Cli::try_parse_from(hint.split(' ')) {
                    assert!(!error.use_stderr(), "{hint}: {error}");
                }
            }
        }
        let own = Failure::new(Exit::Internal, "no").with_hint(Some("ls"));
        assert_eq!(own.hinting("sign").hint().unwrap(), "ls");
    }

    #[test]
    fn programs_are_told_the_same() {
        let failure = Failure::new(Exit::Expired, "late").with_detail("since noon");
        let document = failure.with_report(json!({"verdict": "denied", "more": 1})).document();
        assert_eq!(
            document,
            json!({
                "verdict": "denied", "more": 1, "exitCode": 14, "reason": "late",
                "details": ["since noon"], "hint": null,
            })
        );
        assert_eq!(Failure::usage("what").document()["verdict"], "error");
    }
}
