//! Who knows the values of an argument: names of keys, stores, policies, plugins, images.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Parser as _;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter as _};

use super::super::containerd::ContainerdArgs;
use super::super::context::{self, Context, Dirs};
use super::super::daemon;
use super::super::output::{Format, Printer, Verbosity};
use crate::content::containerd::ContentStore;
use crate::plugin::{DEFAULT_TIMEOUT, PluginDirectory};
use crate::signature::signer::keys::{KeySource, SigningKeys};
use crate::store::cache::{CachedSignature, SignatureCache};
use crate::trust::files::PolicyFiles;
use crate::trust::policy::Statement;
use crate::trust::store::{StoreEntry, TrustStores};

/// How long an engine may take to answer while somebody waits for a completion.
const PATIENCE: Duration = Duration::from_secs(1);

/// Names with what is said about them.
type Names = Vec<(String, String)>;

/// Where names come from.
type Origin = fn(&Dirs) -> Option<Names>;

/// What completes a word.
type Completer = fn(&OsStr) -> Vec<CompletionCandidate>;

/// Which arguments take such names.
#[derive(Debug)]
pub(super) struct Rule {
    /// Commands, all of them or those below one; `!` stands for all but those.
    commands: &'static str,
    /// IDs of the arguments.
    arguments: &'static [&'static str],
    completer: Completer,
}

impl Rule {
    pub(super) fn is_about(&self, path: &str, argument: &clap::Arg) -> bool {
        let is_below = |commands| format!("{path} ").starts_with(&format!("{commands} "));
        let is_its = match self.commands.strip_prefix('!') {
            Some(commands) => !is_below(commands),
            None => self.commands.is_empty() || is_below(self.commands),
        };
        is_its
            && argument.get_action().takes_values()
            && self.arguments.contains(&argument.get_id().as_str())
    }
}

const fn rule(
    commands: &'static str,
    arguments: &'static [&'static str],
    completer: Completer,
) -> Rule {
    Rule { commands, arguments, completer }
}

/// The first rule that fits holds.
pub(super) const RULES: &[Rule] = &[
    rule("plugin install", &["source"], paths),
    rule("inspect", &["source"], paths),
    rule("", &["source", "sources", "others", "to", "from"], sources),
    rule("", &["key"], |word| names(word, keys)),
    rule("key update", &["name"], |word| names(word, keys)),
    rule("key delete", &["names"], |word| names(word, keys)),
    rule("", &["plugin"], |word| names(word, plugins)),
    rule("plugin uninstall", &["name"], |word| names(word, plugins)),
    rule("cert", &["store"], |word| names(word, stores)),
    rule("cert", &["file"], |word| names(word, certificates)),
    rule("", &["trust_store"], |word| names(word, references)),
    rule("", &["policy_name"], |word| names(word, policies)),
    rule("cache", &["manifest", "manifests"], |word| names(word, subjects)),
    rule("cache remove", &["signatures"], |word| names(word, cached)),
    rule("", &["namespace"], |word| names(word, namespaces)),
];

/// Who knows the values of an argument.
pub(super) fn of(path: &str, argument: &clap::Arg) -> Option<Completer> {
    RULES.iter().find(|rule| rule.is_about(path, argument)).map(|rule| rule.completer)
}

fn names(word: &OsStr, origin: Origin) -> Vec<CompletionCandidate> {
    let Some(word) = word.to_str() else { return Vec::new() };
    let names = origin(&Dirs::from_env()).unwrap_or_default();
    candidates(word, "", names)
}

/// Those that begin like the word, with what stands before it.
fn candidates(word: &str, before: &str, names: Names) -> Vec<CompletionCandidate> {
    let named = names.into_iter().filter(|(name, _)| name.starts_with(word));
    named
        .map(|(name, about)| {
            let about = Some(about).filter(|text| !text.is_empty());
            CompletionCandidate::new(format!("{before}{name}")).help(about.map(Into::into))
        })
        .collect()
}

fn paths(word: &OsStr) -> Vec<CompletionCandidate> {
    PathCompleter::any().complete(word)
}

/// SOURCE: a transport and what it knows, or a file.
fn sources(word: &OsStr) -> Vec<CompletionCandidate> {
    const ARCHIVES: [&str; 3] = ["docker-archive:", "oci-archive:", "oci:"];
    let text = word.to_string_lossy();
    for transport in ARCHIVES {
        if let Some(path) = text.strip_prefix(transport) {
            let before = |it: CompletionCandidate| it.add_prefix(transport);
            return paths(&OsString::from(path)).into_iter().map(before).collect();
        }
    }
    let engines = [("docker-daemon:", docker as fn() -> Names), ("containerd:", containerd)];
    for (transport, images) in engines {
        if let Some(name) = text.strip_prefix(transport) {
            return candidates(name, transport, within(PATIENCE, images).unwrap_or_default());
        }
    }
    let transports = [
        ("docker-daemon:", "image of the Docker engine"),
        ("containerd:", "image of containerd"),
        ("docker-archive:", "archive of docker save"),
        ("oci-archive:", "archive of an OCI layout"),
        ("oci:", "OCI layout"),
    ];
    let transports = transports.map(|(name, about)| (name.to_owned(), about.to_owned())).to_vec();
    let mut found = paths(word);
    // Where nothing was typed, files are what is meant.
    if !text.is_empty() || found.is_empty() {
        found.extend(candidates(&text, "", transports));
    }
    found
}

/// What a function returns, if it is done in time.
fn within<T: Send + 'static>(
    limit: Duration,
    function: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    // Nobody waits for it: it ends with the process.
    thread::spawn(move || sender.send(function()));
    receiver.recv_timeout(limit).ok()
}

fn docker() -> Names {
    daemon::names().into_iter().map(|name| (name, String::new())).collect()
}

/// containerd as its environment variables and its configuration name it.
fn with_containerd<T>(ask: impl Fn(&ContainerdArgs, &dyn ContentStore) -> Option<T>) -> Option<T> {
    #[derive(clap::Parser)]
    struct Environment {
        #[command(flatten)]
        containerd: ContainerdArgs,
    }
    let args = Environment::try_parse_from(["dockseal"]).ok()?.containerd;
    let printer = Printer::new(Verbosity::Quiet, Format::Text);
    let context =
        Context { printer, dirs: Dirs::from_env(), strict_perms: false, now: context::now() };
    ask(&args, args.open(&context).ok()?.as_ref())
}

fn containerd() -> Names {
    let names = with_containerd(|args, store| {
        let namespaces = match args.namespace() {
            Some(namespace) => vec![namespace.clone()],
            None => store.namespaces().ok()?,
        };
        let mut names = BTreeSet::new();
        for namespace in namespaces {
            let images = store.images(&namespace).ok()?;
            // The third name that CRI gives an image is that of its config.
            let images = images.into_iter().filter(|image| !image.name.starts_with("sha256:"));
            names.extend(images.map(|image| (image.name, namespace.as_str().to_owned())));
        }
        Some(names.into_iter().collect())
    });
    names.unwrap_or_default()
}

fn namespaces(_: &Dirs) -> Option<Names> {
    let ask = || {
        with_containerd(|_, store| {
            let names = store.namespaces().ok()?;
            Some(names.iter().map(|it| (it.as_str().to_owned(), String::new())).collect())
        })
    };
    within(PATIENCE, ask)?
}

fn keys(dirs: &Dirs) -> Option<Names> {
    let keys = SigningKeys::load(&dirs.config().ok()?).ok()?;
    let about = |name: &str, source: &Option<KeySource>| {
        let source = match source {
            Some(KeySource::Local { key_path, .. }) => key_path.display().to_string(),
            Some(KeySource::Plugin { plugin, .. }) => format!("plugin {plugin}"),
            None => String::new(),
        };
        if keys.default_name() == Some(name) { format!("default, {source}") } else { source }
    };
    let names = keys.keys().iter().map(|key| (key.name.clone(), about(&key.name, &key.source)));
    Some(names.collect())
}

fn plugins(dirs: &Dirs) -> Option<Names> {
    let names = PluginDirectory::new(dirs.plugins().ok()?, DEFAULT_TIMEOUT).names().ok()?;
    Some(names.into_iter().map(|name| (name, String::new())).collect())
}

/// Trust stores, certificates in them: what is made of each entry, once.
fn of_stores(dirs: &Dirs, name: fn(StoreEntry) -> (String, String)) -> Option<Names> {
    let entries = TrustStores::new(&dirs.config().ok()?).list(None, None).ok()?;
    Some(entries.into_iter().map(name).collect::<BTreeSet<_>>().into_iter().collect())
}

fn stores(dirs: &Dirs) -> Option<Names> {
    of_stores(dirs, |it| (it.store.name().to_owned(), it.store.kind().as_str().to_owned()))
}

fn references(dirs: &Dirs) -> Option<Names> {
    of_stores(dirs, |it| (it.store.to_string(), String::new()))
}

fn certificates(dirs: &Dirs) -> Option<Names> {
    of_stores(dirs, |it| (it.file, it.store.to_string()))
}

fn policies(dirs: &Dirs) -> Option<Names> {
    let files = PolicyFiles::new(&dirs.config().ok()?);
    let mut names = Names::new();
    let mut add = |statements: &[Statement], about: &str| {
        names.extend(statements.iter().map(|it| (it.name().to_owned(), about.to_owned())));
    };
    if let Ok(loaded) = files.load_oci() {
        add(loaded.policy.statements(), "images");
    }
    if let Ok(loaded) = files.load_blob() {
        add(loaded.policy.statements(), "files");
    }
    Some(names)
}

fn subjects(dirs: &Dirs) -> Option<Names> {
    let entries = SignatureCache::new(&dirs.cache().ok()?).entries(None).ok()?;
    let subjects: BTreeSet<_> = entries.iter().map(|entry| entry.subject.to_string()).collect();
    Some(subjects.into_iter().map(|subject| (subject, String::new())).collect())
}

fn cached(dirs: &Dirs) -> Option<Names> {
    let entries = SignatureCache::new(&dirs.cache().ok()?).entries(None).ok()?;
    let of = |entry: CachedSignature| (entry.digest.to_string(), format!("of {}", entry.subject));
    Some(entries.into_iter().map(of).collect())
}
