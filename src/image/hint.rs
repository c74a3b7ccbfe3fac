//! What helps, to be pasted into a POSIX shell.
//!
//! Names in hints are those of files, tags and URLs that strangers chose. So a hint keeps its command
//! as words, and [`shell`] alone makes text of words.

use std::fmt;
use std::path::Path;

use super::one_line::is_hidden;

/// What helps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hint {
    /// Words for people, or a command that can be pasted as it is.
    Text(String),
    /// A command, behind what it is for.
    Command {
        /// What it is for; may be empty.
        say: String,
        /// Its words.
        words: Vec<String>,
    },
    /// An option for the command that failed, behind what it is for.
    Option {
        /// What it is for; may be empty.
        say: String,
        /// The option and its value; perhaps further ones.
        words: Vec<String>,
    },
}

impl Hint {
    /// A command; none if a word can't be shown.
    pub fn command<W: AsRef<str>>(say: &str, words: &[W]) -> Option<Self> {
        shell(words)?;
        let words = words.iter().map(|word| word.as_ref().to_owned()).collect();
        Some(Self::Command { say: say.to_owned(), words })
    }

    /// An option with a value for the command that failed; none if the value can't be shown.
    pub fn option(say: &str, option: &str, value: &str) -> Option<Self> {
        let words = match value.starts_with('-') {
            true => vec![format!("{option}={value}")],
            false => vec![option.to_owned(), value.to_owned()],
        };
        shell(&words)?;
        Some(Self::Option { say: say.to_owned(), words })
    }
}

/// Fixed text, or text whose every name went through [`shell`]: an option with plain words behind it, at its
/// start or behind words and a colon, goes to the command that failed.
impl From<String> for Hint {
    fn from(text: String) -> Self {
        let (say, option) = match text.split_once(": --") {
            _ if text.starts_with("--") => ("", text.as_str()),
            Some((say, option)) => (say, &text[text.len() - option.len() - 2..]),
            None => return Self::Text(text),
        };
        // In the name of something that is the end of a quoted word, which is not plain.
        match option.split(' ').all(is_plain) {
            true => Self::Option {
                say: say.to_owned(),
                words: option.split(' ').map(str::to_owned).collect(),
            },
            false => Self::Text(text),
        }
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// An option stands alone; [`behind`] is for the command line that it goes to.
impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Command { say, words } | Self::Option { say, words } => {
                f.write_str(&behind(say, &shell(words).unwrap_or_default()))
            }
        }
    }
}

/// A command behind what it is for.
pub fn behind(say: &str, command: &str) -> String {
    if say.is_empty() { command.to_owned() } else { format!("{say}: {command}") }
}

/// Words as a POSIX shell takes them; none if one of them can't be shown as it is. The only function
/// that makes commands of words.
pub fn shell<W: AsRef<str>>(words: &[W]) -> Option<String> {
    let words: Option<Vec<_>> = words.iter().map(|word| quoted(word.as_ref())).collect();
    Some(words?.join(" "))
}

/// A word as a POSIX shell takes it; none if it can't be shown as it is.
fn quoted(word: &str) -> Option<String> {
    // What is no UTF-8 became U+FFFD, which names something else.
    let is_shown = |it: char| !is_hidden(it) && it != char::REPLACEMENT_CHARACTER;
    match is_plain(word) {
        true => Some(word.to_owned()),
        false => word.chars().all(is_shown).then(|| format!("'{}'", word.replace('\'', r"'\''"))),
    }
}

/// Whether a shell takes a word as it is.
fn is_plain(word: &str) -> bool {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_@%+=:,./-".contains(it);
    !word.is_empty() && word.chars().all(is_plain)
}

/// A path as an argument that no command takes for an option.
pub fn path(path: &Path) -> String {
    let path = path.to_string_lossy();
    if path.starts_with('-') { format!("./{path}") } else { path.into_owned() }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Words as a shell splits them.
    fn split(command: &str) -> Vec<String> {
        let script = format!("set -f; for word in {command}; do printf '%s\\0' \"$word\"; done");
        let out = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{command}: {out:?}");
        let text = String::from_utf8(out.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    /// Names that were put together of what means something to shells, to us, or to terminals.
    fn hostile() -> Vec<String> {
        const PARTS: [&str; 24] = [
            "a",
            "'",
            "\"",
            "$(touch pwned)",
            "`id`",
            "${IFS}",
            "\n",
            "\t",
            " ",
            "-",
            "--x",
            ": --a",
            ";",
            "&&",
            "|",
            ">f",
            "*",
            "~",
            "\\",
            "!",
            "#",
            "ü界",
            "\u{202e}",
            "\u{1b}[2J",
        ];
        // A fixed sequence: the same names in every run.
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        (0..400).map(|_| (0..=next(5)).map(|_| PARTS[next(PARTS.len())]).collect()).collect()
    }

    #[test]
    fn a_shell_takes_exactly_the_words_that_are_meant() {
        let (mut shown, mut meant) = (Vec::new(), Vec::new());
        for name in hostile() {
            let words = ["dockseal".to_owned(), name.clone(), format!("oci:b:{name}")];
            let hint = Hint::command("say: --so", &words);
            let Some(hint) = hint else {
                assert!(name.contains(is_hidden), "{name:?}");
                continue;
            };
            assert!(!name.contains(is_hidden), "{name:?}");
            let text = hint.to_string();
            shown.push(text.strip_prefix("say: --so: ").unwrap().to_owned());
            meant.extend(words);
        }
        assert!(shown.len() > 100, "{}", shown.len());
        assert_eq!(split(&shown.join(" ")), meant);
    }

    /// Text that rooms make of names is not taken apart in a name.
    #[test]
    fn a_name_is_no_option() {
        for name in hostile() {
            let Some(command) = shell(&["ls", &name]) else { continue };
            assert_eq!(Hint::from(command.clone()), Hint::Text(command), "{name:?}");
        }
        let Hint::Option { say, words } = "if so: --max-size BYTES".into() else { panic!() };
        assert_eq!((say.as_str(), words), ("if so", vec!["--max-size".into(), "BYTES".into()]));
    }

    #[test]
    fn a_value_is_no_option() {
        let hint = Hint::option("", "--image", "-x y").unwrap();
        assert_eq!(split(&hint.to_string()), ["--image=-x y"]);
        assert_eq!(path(Path::new("-rf")), "./-rf");
        assert_eq!(Hint::option("", "--image", "v1\t$(touch pwned)"), None);
    }
}
