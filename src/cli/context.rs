//! What a command runs in: directories from the environment, the clock, the printer.
//!
//! The environment is read here and nowhere else. The directories are notation's
//! (spec/notation.md §7).

use std::env;
use std::path::PathBuf;

use jiff::Timestamp;

use super::output::Printer;
use crate::image::hint;
#[cfg(feature = "docker")]
use crate::image::hint::Hint;
use crate::image::one_line::is_hidden;

/// The surroundings of a command.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Where everything is said.
    pub(crate) printer: Printer,
    /// The directories.
    pub(crate) dirs: Dirs,
    /// Whether trust and keys that others may change are errors (`--strict-perms`).
    pub(crate) strict_perms: bool,
    /// The time at which the command runs.
    pub(crate) now: Timestamp,
}

/// The time, in whole seconds as signatures have it.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Whether notation's experimental features are enabled (spec/notation.md §10.1).
pub(crate) fn is_experimental() -> bool {
    env::var_os("NOTATION_EXPERIMENTAL").is_some_and(|value| value == "1")
}

/// The name the program was called by, without directories.
pub(crate) fn called_name() -> Option<std::ffi::OsString> {
    let path = PathBuf::from(env::args_os().next()?);
    path.file_name().map(ToOwned::to_owned)
}

/// The words of the command line, up to `--`.
pub(crate) fn arguments() -> Vec<std::ffi::OsString> {
    env::args_os().skip(1).take_while(|word| word != "--").collect()
}

/// Whether arguments hold what terminals would act on.
pub(crate) fn has_hidden_arguments() -> bool {
    env::args_os().any(|word| word.to_string_lossy().contains(is_hidden))
}

/// Options that hints name and that can be given more than once.
const REPEATABLE: [&str; 2] = ["--manifest", "--signature"];

/// The command line with an option at its end, or with another value of the option where it has
/// one, to be pasted into a shell.
pub(crate) fn command_line(option: &[String]) -> Option<String> {
    let option_alone = || Some(format!("the same command with {}", hint::shell(option)?));
    words().and_then(|words| hint::shell(&with_option(words, option))).or_else(option_alone)
}

/// A command line with an option.
fn with_option(mut words: Vec<String>, option: &[String]) -> Vec<String> {
    // What follows -- is no option.
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let given = match option {
        [name, _] if !REPEATABLE.contains(&name.as_str()) => {
            let with_equals = format!("{name}=");
            words[..end].iter().position(|word| word == name || word.starts_with(&with_equals))
        }
        _ => None,
    };
    match given {
        Some(at) if words[at].contains('=') => words.splice(at..=at, option.iter().cloned()),
        Some(at) if at + 1 < end => words.splice(at..=at + 1, option.iter().cloned()),
        _ => words.splice(end..end, option.iter().cloned()),
    };
    words
}

/// The words of the command line with another name in place of one, where that is in it.
pub(crate) fn instead(name: &str, other: &str) -> Option<Vec<String>> {
    renamed(words()?, name, other)
}

/// Words with another name in place of one: in the last word that is the name, or else ends with it,
/// or else has it within a reference or a path.
fn renamed(mut words: Vec<String>, name: &str, other: &str) -> Option<Vec<String>> {
    if name.is_empty() {
        return None;
    }
    let is_edge = |it: char| matches!(it, ':' | '@' | '=' | '/');
    let begins = |word: &str, at: usize| {
        at == 0 || name.starts_with(is_edge) || word[..at].ends_with(is_edge)
    };
    let ends = |word: &str, at: usize| {
        let rest = &word[at + name.len()..];
        rest.is_empty() || name.ends_with(is_edge) || rest.starts_with(is_edge)
    };
    let inside = |word: &str| {
        word.rmatch_indices(name).map(|(at, _)| at).find(|at| begins(word, *at) && ends(word, *at))
    };
    let at_end = |word: &str| {
        word.len().checked_sub(name.len()).filter(|at| word.ends_with(name) && begins(word, *at))
    };
    let whole = |word: &str| (word == name).then_some(0);
    // The program's own name is none.
    let find = |at: &dyn Fn(&str) -> Option<usize>| {
        let mut words = words.iter().enumerate().skip(1).rev();
        words.find_map(|(index, word)| Some((index, at(word)?)))
    };
    let (index, at) = find(&whole).or_else(|| find(&at_end)).or_else(|| find(&inside))?;
    let word = &mut words[index];
    let was_option = word.starts_with('-');
    word.replace_range(at..at + name.len(), other);
    // A name that would be taken for an option is of no help.
    (was_option || !word.starts_with('-')).then_some(words)
}

/// The command line once more, as root.
#[cfg(feature = "docker")]
pub(crate) fn as_root() -> Option<Hint> {
    let words: Vec<_> = std::iter::once("sudo".to_owned()).chain(words()?).collect();
    Hint::command("as root on the host of the engine", &words)
}

/// The command that people call to get here.
fn program() -> &'static str {
    let name = called_name().unwrap_or_default();
    let is_plugin = name.to_string_lossy().starts_with("docker-generate");
    match is_plugin {
        // docker passes on its own arguments, all of them.
        true if env::args_os().any(|word| word == "generate") => "docker",
        true => "docker-generate",
        false => "dockseal",
    }
}

/// The words of the command line. What has a PIN in it is not repeated.
fn words() -> Option<Vec<String>> {
    let mut words = vec![program().to_owned()];
    for argument in env::args_os().skip(1) {
        words.push(argument.to_str().filter(|it| !it.contains("pin-value"))?.to_owned());
    }
    Some(words)
}

/// notation's directories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dirs {
    config: Option<PathBuf>,
    cache: Option<PathBuf>,
    layers: Option<PathBuf>,
    libexec: Option<PathBuf>,
}

/// A directory that is nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no {what} directory: neither ${variable} nor ${xdg} nor $HOME is set to an absolute path")]
pub(crate) struct NoDirectory {
    what: &'static str,
    variable: &'static str,
    xdg: &'static str,
}

impl Dirs {
    /// The directories that the environment names. One that is not named is an error when it is
    /// needed: notation would use `./.notation` and so let whoever owns the current directory
    /// decide whom to trust (rule N-05).
    #[must_use]
    pub(crate) fn from_env() -> Self {
        // The list of keys and the reports hold these paths, so they are absolute.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let own = |variable| own(variable).map(absolute);
        let config = own("NOTATION_CONFIG").or_else(|| standard("XDG_CONFIG_HOME", ".config"));
        let cache = own("NOTATION_CACHE").or_else(|| standard("XDG_CACHE_HOME", ".cache"));
        let layers = base("XDG_CACHE_HOME", ".cache").map(|base| base.join("dockseal/layers"));
        Self { config, cache, layers, libexec: own("NOTATION_LIBEXEC") }
    }

    /// Keys, trust stores and policies.
    ///
    /// # Errors
    /// [`NoDirectory`].
    pub(crate) fn config(&self) -> Result<PathBuf, NoDirectory> {
        self.config.clone().ok_or(NoDirectory {
            what: "configuration",
            variable: "NOTATION_CONFIG",
            xdg: "XDG_CONFIG_HOME",
        })
    }

    /// Signatures and CRLs.
    ///
    /// # Errors
    /// [`NoDirectory`].
    pub(crate) fn cache(&self) -> Result<PathBuf, NoDirectory> {
        self.cache.clone().ok_or(NoDirectory {
            what: "cache",
            variable: "NOTATION_CACHE",
            xdg: "XDG_CACHE_HOME",
        })
    }
}

impl Dirs {
    /// Plugins: below the configuration, unless `NOTATION_LIBEXEC` says where.
    ///
    /// # Errors
    /// [`NoDirectory`].
    pub(crate) fn plugins(&self) -> Result<PathBuf, NoDirectory> {
        let parent = self.libexec.clone().map_or_else(|| self.config(), Ok)?;
        Ok(parent.join("plugins"))
    }

    /// dockseal's own cache of what layers compress to; notation has nothing like it.
    pub(crate) fn layers(&self) -> Option<PathBuf> {
        self.layers.clone()
    }
}

/// A variable that names the directory itself.
fn own(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The `notation` directory in a base directory.
fn standard(xdg: &str, below_home: &str) -> Option<PathBuf> {
    base(xdg, below_home).map(|base| base.join("notation"))
}

/// A base directory, which must be absolute.
fn base(xdg: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    match own(xdg) {
        Some(base) => absolute(base),
        None => own("HOME").and_then(absolute).map(|home| home.join(below_home)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_word_that_named_the_thing_is_replaced() {
        for (line, name, other, expected) in [
            (
                "verify --oci-layout lay:a --max-age 720h",
                "a",
                "v1",
                Some("verify --oci-layout lay:v1 --max-age 720h"),
            ),
            ("verify oci:lay:a", ":a", "@sha256:1", Some("verify oci:lay@sha256:1")),
            ("verify dir/x.tar:v1", "x.tar", "y.tar", Some("verify dir/y.tar:v1")),
            ("sign --key=old x.tar", "old", "new", Some("sign --key=new x.tar")),
            ("key delete a", "a", "b", Some("key delete b")),
            ("inspect b:sha256:11", "b:sha256:", "b@sha256:", Some("inspect b@sha256:11")),
            ("verify alpha.tar --scope a", "alp", "x", None),
            ("verify x.tar", "x.tar", "-rf", None),
            ("verify oci:x", "dockseal", "b", None),
        ] {
            let line = format!("dockseal {line}");
            let expected = expected.map(|it| words(&format!("dockseal {it}")));
            assert_eq!(renamed(words(&line), name, other), expected, "{line}");
        }
    }

    #[test]
    fn an_option_is_added_or_replaced() {
        for (line, option, expected) in [
            ("verify a", "--signature S", "verify a --signature S"),
            ("verify -- -a", "--signature S", "verify --signature S -- -a"),
            ("verify --image x a", "--image y", "verify --image y a"),
            ("verify --image=x a", "--image y", "verify --image y a"),
            ("verify --manifest x a", "--manifest y", "verify --manifest x a --manifest y"),
            ("verify -- --image x", "--image y", "verify --image y -- --image x"),
        ] {
            assert_eq!(with_option(words(line), &words(option)), words(expected), "{line}");
        }
    }
}
