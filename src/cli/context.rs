//! What a command runs in: directories from the environment, the clock, the printer.
//!
//! The environment is read here and nowhere else. The directories are notation's
//! (spec/notation.md §7).

use std::env;
use std::path::PathBuf;

use jiff::Timestamp;

use super::output::Printer;

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

/// Options that hints name and that can be given more than once.
const REPEATABLE: [&str; 2] = ["--manifest", "--signature"];

/// The command line with an option at its end, or with another value of the option where it has
/// one, to be pasted into a shell.
pub(crate) fn command_line(end: &str) -> String {
    let Some(mut words) = words() else { return format!("the same command with {end}") };
    // What follows -- is no option.
    let at = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let given = end.split_once(' ').filter(|(option, _)| !REPEATABLE.contains(option));
    let given = given.and_then(|(option, value)| {
        Some((words[..at].iter().position(|word| word == option)?, value))
    });
    match given {
        Some((option, value)) if option + 1 < at => value.clone_into(&mut words[option + 1]),
        _ => words.insert(at, end.to_owned()),
    }
    words.join(" ")
}

/// The command line with another name in place of one, where that is in it.
pub(crate) fn instead(name: &str, other: &str) -> Option<String> {
    let mut words = words()?;
    let at = |is: &dyn Fn(&String) -> bool| words.iter().rposition(is).filter(|at| *at > 0);
    let at = at(&|word| word == name).or_else(|| at(&|word| word.contains(name)))?;
    let word = words.get_mut(at)?;
    let plain = word.trim_matches('\'');
    let (before, after) = plain.rsplit_once(name)?;
    *word = quoted(&format!("{before}{other}{after}"));
    Some(words.join(" "))
}

/// The command line once more, as root.
#[cfg(feature = "docker")]
pub(crate) fn as_root() -> String {
    match words() {
        Some(words) => format!("sudo {}", words.join(" ")),
        None => "the same command as root".to_owned(),
    }
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

/// The words of the command line as a shell takes them. What has a PIN in it, or what a shell would
/// not take as it is shown, is not repeated.
fn words() -> Option<Vec<String>> {
    let mut words = vec![program().to_owned()];
    for argument in env::args_os().skip(1) {
        let is_shown = |it: &&str| !it.contains("pin-value") && !it.contains(char::is_control);
        words.push(quoted(argument.to_str().filter(is_shown)?));
    }
    Some(words)
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_@%+=:,./-".contains(it);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        // Control characters are for terminals to act on.
        false if word.contains(char::is_control) => format!("{word:?}"),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
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
