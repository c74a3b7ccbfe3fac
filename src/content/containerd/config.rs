//! What containerd's own `config.toml` says: where its socket and its files are, and whether it asks
//! an image verifier.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde::Deserialize;

use crate::fsutil::{self, FileError};

/// Where containerd's configuration is.
pub const PATH: &str = "/etc/containerd/config.toml";
/// containerd's root where nothing else is configured.
pub const DEFAULT_ROOT: &str = "/var/lib/containerd";
/// containerd's socket where nothing else is configured.
pub const DEFAULT_ADDRESS: &str = "/run/containerd/containerd.sock";
/// Largest configuration that is read.
const MAX_BYTES: u64 = 1 << 20;

/// Where containerd keeps things.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Places {
    /// Its root directory.
    pub root: PathBuf,
    /// Its socket.
    pub address: PathBuf,
}

/// All versions of the format have these members in the same places. Files that it imports are not
/// looked at.
#[derive(Deserialize)]
struct Wire {
    root: Option<PathBuf>,
    grpc: Option<Grpc>,
}

#[derive(Deserialize)]
struct Grpc {
    address: Option<PathBuf>,
}

impl Places {
    /// What the configuration at `path` says; the defaults where there is none.
    ///
    /// # Errors
    /// [`ConfigError`]: it can't be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match fsutil::read_bounded(path, MAX_BYTES) {
            Ok(bytes) => Self::parse(&String::from_utf8_lossy(&bytes))
                .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source }),
            Err(error) if error.is_not_found() => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let wire: Wire = toml::from_str(text)?;
        let given = |path: Option<PathBuf>, default: &str| {
            path.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| default.into())
        };
        Ok(Self {
            root: given(wire.root, DEFAULT_ROOT),
            address: given(wire.grpc.and_then(|grpc| grpc.address), DEFAULT_ADDRESS),
        })
    }
}

/// What decides whether containerd asks an image verifier (spec/containerd.md §8).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifierSettings {
    /// The version of the configuration; 1 where it says none, as containerd takes it. Without a
    /// file containerd's own defaults hold, which have the newest.
    pub version: i64,
    /// Whether the plugin is disabled.
    pub is_disabled: bool,
    /// The directory whose entries are run.
    pub bin_dir: PathBuf,
    /// How many of them; a negative number is no limit.
    pub max_verifiers: i64,
    /// How long each of them may take before it is killed and the pull refused; `None` where it is no
    /// duration, and containerd does not start.
    pub timeout: Option<SignedDuration>,
    /// Settings with which CRI pulls by itself and asks nobody.
    pub local_pull: Vec<String>,
}

/// Configurations that one leads to by `imports`, itself among them.
const MAX_FILES: usize = 100;

impl VerifierSettings {
    const PLUGIN: &str = "io.containerd.image-verifier.v1.bindir";
    const BIN_DIR: &str = "/opt/containerd/image-verifier/bin";
    const MAX_VERIFIERS: i64 = 10;
    const TIMEOUT: SignedDuration = SignedDuration::from_secs(10);
    /// CRI's image service: version 3, and version 2.
    const CRI: [&str; 2] = ["io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri"];

    /// What the configuration at `path` says, with those it imports; the defaults where there is
    /// none.
    ///
    /// # Errors
    /// [`ConfigError`]: one of them can't be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut merged = toml::Table::new();
        let mut pending = vec![path.to_owned()];
        let mut seen = Vec::new();
        while let Some(path) = pending.pop() {
            let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if seen.contains(&real) || seen.len() == MAX_FILES {
                continue;
            }
            let bytes = match fsutil::read_bounded(&path, MAX_BYTES) {
                Err(error) if error.is_not_found() && seen.is_empty() => break,
                bytes => bytes?,
            };
            let table: toml::Table = toml::from_str(&String::from_utf8_lossy(&bytes))
                .map_err(|source| ConfigError::Syntax { path: path.clone(), source })?;
            let imports = imports(&table, &path);
            pending.extend(imports.into_iter().rev());
            merge(&mut merged, table);
            seen.push(real);
        }
        Ok(Self::of(&merged, seen.is_empty()))
    }

    fn of(config: &toml::Table, is_default: bool) -> Self {
        let plugin = |name: &str| config.get("plugins").and_then(|plugins| plugins.get(name));
        let ours = plugin(Self::PLUGIN);
        let number =
            |name: &str| ours.and_then(|it| it.get(name)).and_then(toml::Value::as_integer);
        let directory = ours.and_then(|it| it.get("bin_dir")).and_then(toml::Value::as_str);
        let version = config.get("version").and_then(toml::Value::as_integer);
        let disabled = config.get("disabled_plugins").and_then(toml::Value::as_array);
        Self {
            version: version.unwrap_or(if is_default { 3 } else { 1 }),
            is_disabled: disabled.into_iter().flatten().any(|it| it.as_str() == Some(Self::PLUGIN)),
            bin_dir: directory.unwrap_or(Self::BIN_DIR).into(),
            max_verifiers: number("max_verifiers").unwrap_or(Self::MAX_VERIFIERS),
            timeout: match ours.and_then(|it| it.get("per_verifier_timeout")) {
                Some(value) => value.as_str().and_then(duration),
                None => Some(Self::TIMEOUT),
            },
            local_pull: Self::CRI.iter().filter_map(|it| plugin(it)).flat_map(local_pull).collect(),
        }
    }
}

/// A duration as Go writes them.
fn duration(text: &str) -> Option<SignedDuration> {
    if text == "0" { Some(SignedDuration::ZERO) } else { text.parse().ok() }
}

/// The settings of CRI's image service with which it pulls by itself.
fn local_pull(cri: &toml::Value) -> Vec<String> {
    let value = |path: &str| path.split('.').try_fold(cri, |value, name| value.get(name));
    let is =
        |path: &str, expected: bool| value(path).and_then(toml::Value::as_bool) == Some(expected);
    let mut found = Vec::new();
    if let Some(number) = value("max_concurrent_downloads").and_then(toml::Value::as_integer)
        && number != 3
    {
        found.push(format!("max_concurrent_downloads = {number}"));
    }
    for path in ["registry.mirrors", "registry.configs", "registry.auths"] {
        if value(path).and_then(toml::Value::as_table).is_some_and(|table| !table.is_empty()) {
            found.push(path.to_owned());
        }
    }
    // Version 2 has some of them one table further down.
    for (name, expected) in [
        ("discard_unpacked_layers", true),
        ("disable_snapshot_annotations", false),
        ("image_pull_with_sync_fs", true),
        ("use_local_image_pull", true),
    ] {
        if is(name, expected) || is(&format!("containerd.{name}"), expected) {
            found.push(format!("{name} = {expected}"));
        }
    }
    found
}

/// The files that a configuration imports: paths from its own directory, whose last part may have
/// `*` in it.
fn imports(table: &toml::Table, path: &Path) -> Vec<PathBuf> {
    let directory = path.parent().unwrap_or_else(|| Path::new("/"));
    let list = table.get("imports").and_then(toml::Value::as_array).into_iter().flatten();
    list.filter_map(toml::Value::as_str)
        .flat_map(|import| {
            let import = directory.join(import);
            let name = import.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((before, after)) = name.split_once('*') else { return vec![import] };
            let fits = |name: &str| {
                name.len() >= before.len() + after.len()
                    && name.starts_with(before)
                    && name.ends_with(after)
            };
            let entries = import.parent().and_then(|it| std::fs::read_dir(it).ok());
            let mut paths: Vec<_> = entries
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|path| path.file_name().is_some_and(|it| fits(&it.to_string_lossy())))
                .collect();
            paths.sort_unstable();
            paths
        })
        .collect()
}

/// Later configurations win, member by member.
fn merge(into: &mut toml::Table, from: toml::Table) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(toml::Value::Table(table)), toml::Value::Table(value)) => merge(table, value),
            (Some(toml::Value::Array(all)), toml::Value::Array(more)) => all.extend(more),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self { root: DEFAULT_ROOT.into(), address: DEFAULT_ADDRESS.into() }
    }
}

/// Why containerd's configuration can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no TOML, or a member has another type.
    #[error("{}: {}", path.display(), source.message())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: toml::de::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_and_what_is_not() {
        let k3s = "version = 3\nroot = \"/k/root\"\n[grpc]\n  address = \"/k/sock\"\n  gid = 0\n\
                   [plugins.'io.containerd.cri.v1.images']\n  x = [1, 2]\n";
        for (text, root, address) in [
            ("", DEFAULT_ROOT, DEFAULT_ADDRESS),
            ("version = 2\nroot = \"\"\n", DEFAULT_ROOT, DEFAULT_ADDRESS),
            ("root = \"/r\"\nstate = \"/s\"\n[debug]\n", "/r", DEFAULT_ADDRESS),
            (k3s, "/k/root", "/k/sock"),
        ] {
            let places = Places::parse(text).unwrap();
            assert_eq!((places.root, places.address), (root.into(), address.into()), "{text}");
        }
        assert!(Places::parse("root = 1").is_err());
        assert!(Places::parse("root").is_err());
        assert_eq!(Places::load(Path::new("/no/such/file")).unwrap(), Places::default());
    }

    #[test]
    fn what_keeps_the_verifier_from_being_asked() {
        let settings = |text: &str| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("config.toml");
            fsutil::write_atomic(&path, text.as_bytes(), fsutil::Mode::Public).unwrap();
            VerifierSettings::load(&path).unwrap()
        };
        let plain = settings("version = 3\n");
        assert_eq!(plain, VerifierSettings::load(Path::new("/no/such/file")).unwrap());
        assert_eq!(plain.bin_dir, Path::new("/opt/containerd/image-verifier/bin"));
        assert_eq!((plain.version, plain.max_verifiers, plain.is_disabled), (3, 10, false));
        assert_eq!(plain.timeout, Some(SignedDuration::from_secs(10)));
        for (value, expected) in [
            ("'1m30s'", Some(90_000)),
            ("'250ms'", Some(250)),
            ("'1.5s'", Some(1500)),
            ("'0'", Some(0)),
            ("'-2s'", Some(-2000)),
            ("'soon'", None),
            ("10", None),
        ] {
            let plugin = "[plugins.'io.containerd.image-verifier.v1.bindir']";
            let found = settings(&format!("version = 3\n{plugin}\nper_verifier_timeout = {value}"));
            assert_eq!(found.timeout, expected.map(SignedDuration::from_millis), "{value}");
        }
        assert_eq!(settings("").version, 1);
        let all = settings(
            "version = 3\ndisabled_plugins = ['a', 'io.containerd.image-verifier.v1.bindir']\n\
             [plugins.'io.containerd.image-verifier.v1.bindir']\nbin_dir = '/b'\nmax_verifiers = -1\n\
             [plugins.'io.containerd.cri.v1.images']\nmax_concurrent_downloads = 5\n\
             use_local_image_pull = true\nimage_pull_with_sync_fs = true\n\
             [plugins.'io.containerd.cri.v1.images'.registry.configs.x]\na = 1\n",
        );
        assert!(all.is_disabled);
        assert_eq!((all.bin_dir, all.max_verifiers), ("/b".into(), -1));
        assert_eq!(
            all.local_pull,
            [
                "max_concurrent_downloads = 5",
                "registry.configs",
                "image_pull_with_sync_fs = true",
                "use_local_image_pull = true"
            ]
        );
        let old = settings(
            "version = 2\n[plugins.'io.containerd.grpc.v1.cri']\nmax_concurrent_downloads = 3\n\
             [plugins.'io.containerd.grpc.v1.cri'.containerd]\ndiscard_unpacked_layers = true\n\
             disable_snapshot_annotations = true\n[plugins.'io.containerd.grpc.v1.cri'.registry]\n\
             config_path = '/etc/containerd/certs.d'\nmirrors = {}\n",
        );
        assert_eq!(old.local_pull, ["discard_unpacked_layers = true"]);
    }

    #[test]
    fn imports_are_merged_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fsutil::create_public_dir(path.parent().unwrap()).unwrap();
            fsutil::write_atomic(&path, text.as_bytes(), fsutil::Mode::Public).unwrap();
        };
        let plugin = "[plugins.'io.containerd.image-verifier.v1.bindir']";
        write(
            "config.toml",
            &format!("version = 3\nimports = ['conf.d/*.toml']\n{plugin}\nbin_dir = '/a'"),
        );
        write("conf.d/1.toml", &format!("{plugin}\nbin_dir = '/b'\nmax_verifiers = 2"));
        write(
            "conf.d/2.toml",
            &format!("imports = ['../config.toml']\n{plugin}\nmax_verifiers = 0"),
        );
        write("conf.d/3.bak", "not toml");
        let settings = VerifierSettings::load(&directory.path().join("config.toml")).unwrap();
        assert_eq!((settings.bin_dir, settings.max_verifiers), ("/b".into(), 0));
        write("conf.d/4.toml", "not toml");
        assert!(VerifierSettings::load(&directory.path().join("config.toml")).is_err());
    }
}
