//! The Printer: data on stdout, exactly and alone; talk on stderr.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use clap::ColorChoice;
use clap::builder::StyledStr;
use clap::builder::styling::{AnsiColor, Style};

use super::context;
use crate::image::one_line::{OneLine, is_hidden};

/// What a word means, at a glance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tone {
    /// All is well.
    Good,
    /// Nothing to see at a glance.
    Plain,
    /// Not all is well.
    Warning,
    /// Denied, failed.
    Bad,
    /// How to go on.
    Hint,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default().bold(),
            Self::Plain => Style::new(),
            Self::Warning => AnsiColor::Yellow.on_default().bold(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Hint => AnsiColor::Cyan.on_default().bold(),
        }
    }
}

/// Longest answer to a question.
const MAX_ANSWER: u64 = 1024;

/// Version of the documents of `--format json`; it changes when a member changes its meaning.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// How much talk there is.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verbosity {
    /// Results in their shortest form, errors and warnings.
    Quiet,
    /// What one wants to know.
    #[default]
    Normal,
    /// How it came about, too.
    Verbose,
}

/// The form of reports.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}

/// In whose words messages are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Voice {
    /// dockseal's.
    #[default]
    Dockseal,
    /// notation's: `Error: ` and `Warning: `, nothing but them unless the talk is verbose, and
    /// questions on stdout that a pipe may answer.
    Notation,
}

/// Writes everything that a command says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    verbosity: Verbosity,
    format: Format,
    color: ColorChoice,
    voice: Voice,
    muted: bool,
}

impl Printer {
    /// A printer that colors what goes to a terminal.
    #[must_use]
    pub(crate) fn new(verbosity: Verbosity, format: Format) -> Self {
        Self { verbosity, format, color: ColorChoice::Auto, voice: Voice::Dockseal, muted: false }
    }

    /// The same printer with colors as the user wants them.
    #[must_use]
    pub(crate) fn with_color(self, color: ColorChoice) -> Self {
        Self { color, ..self }
    }

    /// The same printer with other words.
    #[must_use]
    pub(crate) fn speaking(self, voice: Voice) -> Self {
        // notation has no colors.
        let color = if voice == Voice::Notation { ColorChoice::Never } else { self.color };
        Self { voice, color, ..self }
    }

    /// A printer of somebody whose results another one tells: it says nothing, and warns of nothing.
    #[must_use]
    pub(crate) fn muted(self) -> Self {
        Self { muted: true, ..self }
    }

    /// How much talk there is.
    #[must_use]
    pub(crate) fn verbosity(self) -> Verbosity {
        self.verbosity
    }

    /// The form of reports.
    #[must_use]
    pub(crate) fn format(self) -> Format {
        self.format
    }

    /// Whether progress may be drawn: on a terminal, for people, unless told to be quiet.
    #[must_use]
    pub(crate) fn may_draw(self) -> bool {
        let is_wanted = self.verbosity > Verbosity::Quiet && self.format == Format::Text;
        is_wanted && !self.muted && io::stderr().is_terminal()
    }

    /// Writes bytes to stdout, exactly. A reader that has gone away had enough of it: no error.
    ///
    /// # Errors
    /// [`BinaryOnTerminal`]; when stdout can't be written.
    pub(crate) fn data(self, bytes: &[u8]) -> io::Result<()> {
        if self.muted {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        if is_binary(bytes) && stdout.is_terminal() {
            return Err(io::Error::other(BinaryOnTerminal));
        }
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                let text = format!("standard output can't be written: {error}");
                Err(io::Error::new(error.kind(), text))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Writes a line of the result for people to stdout. It stays one, whatever names are in it;
    /// notation's texts are as they are.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub(crate) fn line(self, line: impl Display) -> io::Result<()> {
        let line = line.to_string();
        match self.voice {
            Voice::Dockseal => self.text(&format!("{}\n", in_line(&line))),
            Voice::Notation => self.text(&format!("{line}\n")),
        }
    }

    /// Writes a line of the result for people to stdout, which begins with a word, or some, that say
    /// it all at a glance. It stays one line, whatever names are in it.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub(crate) fn verdict(self, tone: Tone, verdict: &str, rest: impl Display) -> io::Result<()> {
        self.verdict_tree(tone, verdict, in_line(&rest.to_string()))
    }

    /// The same with lines below it, in each of which names stay.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub(crate) fn verdict_tree(
        self,
        tone: Tone,
        verdict: &str,
        rest: impl Display,
    ) -> io::Result<()> {
        if self.format == Format::Json {
            return Ok(());
        }
        let (verdict, rest) = (printable(verdict), rest.to_string());
        let is_colored = self.is_colored_on(io::stdout().is_terminal());
        let style = if is_colored { tone.style() } else { Style::new() };
        self.data(format!("{style}{verdict}{style:#}{}\n", printable(&rest)).as_bytes())
    }

    /// Writes the result for people to stdout. Programs get [`json`](Self::json) instead: a command
    /// calls both, and one of them is silent.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        if self.format == Format::Json {
            return Ok(());
        }
        self.data(printable(text).as_bytes())
    }

    /// Writes the result for programs to stdout: the one JSON document of this command.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub(crate) fn json(self, document: serde_json::Value) -> io::Result<()> {
        if self.format == Format::Text {
            return Ok(());
        }
        let mut versioned = serde_json::json!({"schemaVersion": SCHEMA_VERSION});
        for (name, value) in document.as_object().into_iter().flatten() {
            versioned[name] = value.clone();
        }
        self.data(format!("{versioned:#}\n").as_bytes())
    }

    /// Says something on stderr in any case.
    pub(crate) fn say(self, text: impl Display) {
        say(format_args!("{text}"));
    }

    /// Says something on stderr, unless told to be quiet.
    pub(crate) fn note(self, text: impl Display) {
        let least = match self.voice {
            Voice::Dockseal => Verbosity::Normal,
            Voice::Notation => Verbosity::Verbose,
        };
        if self.verbosity >= least && !self.muted {
            self.say_indented(text);
        }
    }

    /// Says on stderr how something came about, if that is wanted.
    pub(crate) fn detail(self, text: impl Display) {
        if self.verbosity == Verbosity::Verbose && !self.muted {
            self.say_indented(text);
        }
    }

    /// Says something whose names begin no line of their own.
    fn say_indented(self, text: impl Display) {
        say(format_args!("{}", self.indented(&text.to_string())));
    }

    /// Lines behind the first one do not look like something that we say. Notation's texts are as
    /// they are.
    fn indented(self, text: &str) -> String {
        match self.voice {
            Voice::Dockseal => text.replace('\n', "\n  "),
            Voice::Notation => text.to_owned(),
        }
    }

    /// Warns on stderr. Warnings are about safety; quiet does not silence them.
    pub(crate) fn warning(self, text: impl Display) {
        let label = match self.voice {
            Voice::Dockseal => "warning:",
            Voice::Notation => "Warning:",
        };
        self.say_labelled(label, Tone::Warning, text);
    }

    /// Reports an error and how to go on, on stderr.
    pub(crate) fn error(self, text: impl Display, details: &[String], hint: Option<&str>) {
        if self.voice == Voice::Notation {
            details.iter().map(String::as_str).chain(hint).for_each(|line| self.detail(line));
            return self.say_labelled("Error:", Tone::Bad, text);
        }
        self.say_labelled("error:", Tone::Bad, text);
        for detail in details.iter().filter(|_| !self.muted) {
            say(format_args!("  {}", detail.replace('\n', "\n  ")));
        }
        if let Some(hint) = hint {
            self.say_labelled("hint:", Tone::Hint, hint);
        }
    }

    /// Writes help that was asked for to stdout, in clap's words.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub(crate) fn help(self, text: &StyledStr) -> io::Result<()> {
        let is_colored = self.is_colored_on(io::stdout().is_terminal());
        let text = if is_colored { text.ansi().to_string() } else { text.to_string() };
        self.data(text.as_bytes())
    }

    /// Reports arguments that are wrong, in clap's words, and how to go on.
    pub(crate) fn usage(self, text: &StyledStr, hint: &str) {
        let has_own_only = !context::has_hidden_arguments();
        let text = match self.is_colored() && has_own_only {
            true => text.ansi().to_string(),
            false => printable(&text.to_string()).into_owned(),
        };
        // The hint says it better.
        let (text, _) = text.split_once("For more information").unwrap_or((&text, ""));
        // It has colors of its own.
        let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
        self.say_labelled("hint:", Tone::Hint, hint);
    }

    fn say_labelled(self, label: &str, tone: Tone, text: impl Display) {
        if self.muted {
            return;
        }
        // Only the first line has a label, and no other one looks as if it had.
        let text = self.indented(&text.to_string());
        let text = printable(&text);
        let style = if self.is_colored() { tone.style() } else { Style::new() };
        let _ = writeln!(io::stderr().lock(), "{style}{label}{style:#} {text}");
    }

    /// Whether messages on stderr are colored.
    pub(crate) fn is_colored(self) -> bool {
        self.is_colored_on(io::stderr().is_terminal())
    }

    fn is_colored_on(self, is_terminal: bool) -> bool {
        let variable = |name| env::var_os(name);
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                is_terminal && wants_colors(variable("NO_COLOR"), variable("TERM"))
            }
        }
    }

    /// Asks a question that is answered by y or yes. Without a terminal, or with an empty answer,
    /// the answer is no; in notation's voice anything on stdin is an answer.
    ///
    /// # Errors
    /// When stdin can't be read.
    pub(crate) fn confirm(self, question: impl Display) -> io::Result<Answer> {
        let question = format!("{question} [y/N] ");
        if self.voice == Voice::Notation {
            self.data(question.as_bytes())?;
        } else if io::stdin().is_terminal() {
            let mut stderr = io::stderr().lock();
            stderr.write_all(question.as_bytes())?;
            stderr.flush()?;
        } else {
            return Ok(Answer::NotAsked);
        }
        let mut answer = String::new();
        io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer)?;
        Ok(match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Answer::Yes,
            _ => Answer::No,
        })
    }
}

/// Whether a terminal is to be colored, by the values of `NO_COLOR` and `TERM`.
fn wants_colors(no_color: Option<OsString>, term: Option<OsString>) -> bool {
    // https://no-color.org: any value but the empty one.
    no_color.is_none_or(|value| value.is_empty()) && term.is_some_and(|name| name != "dumb")
}

/// What would garble a terminal is not sent there.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("standard output is a terminal, and this is binary")]
pub(crate) struct BinaryOnTerminal;

/// Whether people can't read it: no UTF-8, or with NUL bytes.
fn is_binary(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err() || bytes.contains(&0)
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
    /// There is nobody to ask.
    NotAsked,
}

/// In one piece, so that lines of several processes do not mix. Stderr that can't be written leaves
/// nobody to tell.
fn say(text: std::fmt::Arguments<'_>) {
    let line = format!("{}\n", printable(&text.to_string()));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// What others wrote, such as names in archives, makes no terminal do anything.
fn printable(text: &str) -> Cow<'_, str> {
    let is_unsafe = |it: char| is_hidden(it) && it != '\n' && it != '\t';
    if !text.contains(is_unsafe) {
        return text.into();
    }
    let escape = |it: char| if is_unsafe(it) { it.escape_default().to_string() } else { it.into() };
    text.chars().map(escape).collect::<String>().into()
}

/// A line, in which tabs are columns.
fn in_line(line: &str) -> String {
    line.split('\t').map(|column| OneLine(column).to_string()).collect::<Vec<_>>().join("\t")
}

/// A table as Go's tabwriter sets it: columns padded to the widest cell and three spaces, the last
/// one too.
#[must_use]
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    const PADDING: usize = 3;
    let one_line = |cell: &String| OneLine(cell).to_string();
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(one_line).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|it| width(it).unwrap_or(0) + PADDING).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_is_what_no_terminal_shows() {
        for (bytes, binary) in [
            (&b"{}\n"[..], false),
            ("\u{fc}\t\r\n".as_bytes(), false),
            (b"", false),
            // A COSE_Sign1 with a protected header.
            (b"\xd2\x84\x43\xa1\x01\x26", true),
            (b"\xff", true),
            (b"a\0", true),
        ] {
            assert_eq!(is_binary(bytes), binary, "{bytes:?}");
        }
    }

    #[test]
    fn colors_are_for_terminals_that_have_them_and_users_who_want_them() {
        for (no_color, term, colored) in [
            (None, Some("xterm"), true),
            (Some(""), Some("xterm"), true),
            (Some("1"), Some("xterm"), false),
            (Some("0"), Some("xterm"), false),
            (None, Some("dumb"), false),
            (None, None, false),
        ] {
            let is = wants_colors(no_color.map(Into::into), term.map(Into::into));
            assert_eq!(is, colored, "{no_color:?} {term:?}");
        }
        let printer = Printer::new(Verbosity::Normal, Format::Text);
        for (color, on_terminal) in [(ColorChoice::Always, true), (ColorChoice::Never, false)] {
            assert_eq!(printer.with_color(color).is_colored_on(true), on_terminal);
            assert_eq!(printer.with_color(color).is_colored_on(false), on_terminal);
        }
        assert!(!printer.is_colored_on(false), "a pipe");
        let notation = printer.with_color(ColorChoice::Always).speaking(Voice::Notation);
        assert!(!notation.is_colored_on(true), "notation has no colors");
    }

    #[test]
    fn tables_are_set_as_go_does() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            table(&[row(&["STORE TYPE", "STORE NAME"]), row(&["ca", "wabbit-networks"])]),
            "STORE TYPE   STORE NAME        \nca           wabbit-networks   \n"
        );
        assert_eq!(table(&[]), "");
    }
}
