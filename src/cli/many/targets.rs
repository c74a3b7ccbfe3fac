//! What is to be verified: arguments, patterns, lists, and the images that manifests name.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::read_input;
use crate::cli::source::{ImageArgs, Source};
use crate::image::digest::Digest;
use crate::image::reference::Reference;

use super::shelf::Shelf;
use super::workloads;

/// Largest list.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// Something to be verified.
#[derive(Debug)]
pub(super) struct Target {
    /// What it is called in reports.
    pub(super) name: String,
    /// Where it is.
    pub(super) source: String,
    /// Which image there, where that is not part of the source.
    pub(super) image: Option<String>,
    /// The digest that it was asked for by.
    pub(super) digest: Option<Digest>,
    /// Why it can't be looked at. The others can.
    pub(super) failure: Option<Failure>,
}

impl Target {
    fn of(source: String) -> Self {
        Self { name: source.clone(), source, image: None, digest: None, failure: None }
    }
}

/// Where images are that lists name.
#[derive(Clone, Debug)]
pub(super) enum Store {
    /// The engine that docker would ask.
    Docker,
    /// containerd.
    Containerd,
    /// A directory of archives and layouts, or one that is a layout.
    Directory(PathBuf),
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "docker-daemon" => Ok(Self::Docker),
            "containerd" => Ok(Self::Containerd),
            "" => Err("docker-daemon, containerd or a directory is needed".to_owned()),
            path => Ok(Self::Directory(path.into())),
        }
    }
}

/// Everything that is named, each once, in its order.
pub(super) fn targets(
    sources: &[&str],
    lists: &[PathBuf],
    store: Option<&Store>,
    image: &ImageArgs,
    context: &Context,
) -> Result<Vec<Target>, Failure> {
    let mut found: Vec<Target> = Vec::new();
    let mut known = HashSet::new();
    let mut add = |target: Target| {
        if known.insert((target.name.clone(), target.source.clone())) {
            found.push(target);
        }
    };
    for source in sources {
        expand(source)?.into_iter().map(Target::of).for_each(&mut add);
    }
    let mut shelf = None;
    for path in lists {
        let in_list = |failure: Failure| failure.prefixed(&path.display().to_string());
        match (read(path, context).map_err(in_list)?, store) {
            (List::Sources(lines), None) => {
                for line in lines {
                    let sources = expand(&line).map_err(in_list)?;
                    sources.into_iter().map(Target::of).for_each(&mut add);
                }
            }
            (List::Images(_), None) => {
                let message = "it names images, not where they are";
                return Err(in_list(Failure::usage(message))
                    .with_hint(Some("where the images are: --store docker-daemon".to_owned())));
            }
            (List::Sources(images) | List::Images(images), Some(store)) => {
                for name in images {
                    let target = locate(&name, store, &mut shelf, image, context);
                    add(target.map_err(in_list)?);
                }
            }
        }
    }
    if found.is_empty() {
        // Nothing to verify is no success (security.md S16).
        return Err(Failure::new(Exit::Unavailable, "the lists name no image at all")
            .with_hint(Some("dockseal verify --help".to_owned())));
    }
    let streams = found.iter().filter(|target| target.source == "-").count();
    let streams = streams + lists.iter().filter(|path| path.as_os_str() == "-").count();
    if streams > 1 {
        return Err(Failure::usage("standard input is named twice"));
    }
    Ok(found)
}

/// Where an image is in the store.
fn locate(
    name: &str,
    store: &Store,
    shelf: &mut Option<Shelf>,
    image: &ImageArgs,
    context: &Context,
) -> Result<Target, Failure> {
    let reference: Reference = name
        .parse()
        .map_err(|error| Failure::of(Exit::Malformed, &error).prefixed(&format!("{name:?}")))?;
    let name = name.to_owned();
    let digest = reference.digest().cloned();
    let found = |source: String| Target { digest, name: name.clone(), ..Target::of(source) };
    match store {
        Store::Docker => Ok(found(format!("docker-daemon:{name}"))),
        Store::Containerd => Ok(found(format!("containerd:{name}"))),
        Store::Directory(path) => {
            let shelf = match shelf {
                Some(shelf) => shelf,
                None => shelf.insert(Shelf::read(path, image, context)?),
            };
            Ok(match shelf.find(&reference) {
                Ok((path, image)) => Target {
                    image: Some(image.familiar()),
                    ..found(as_path(path.to_string_lossy().into_owned()))
                },
                Err(failure) => {
                    Target { failure: Some(failure), ..found(path.display().to_string()) }
                }
            })
        }
    }
}

/// A path that is not taken for a transport or standard input.
fn as_path(path: String) -> String {
    let is_plain = !path.contains(':') && path != "-" || path.starts_with(['/', '.']);
    if is_plain { path } else { format!("./{path}") }
}

/// What a list holds.
#[derive(Debug)]
enum List {
    /// A source in each line.
    Sources(Vec<String>),
    /// The images of a Compose file or of Kubernetes manifests.
    Images(Vec<String>),
}

fn read(path: &Path, context: &Context) -> Result<List, Failure> {
    let bytes = read_input(path, MAX_LIST_BYTES)?;
    let malformed = |problem: String| Failure::new(Exit::Malformed, problem);
    let text = String::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if !workloads::is_yaml(text) {
        return Ok(List::Sources(lines(text).map(str::to_owned).collect()));
    }
    let found =
        workloads::read(text).map_err(|(problem, hint)| malformed(problem).with_hint(hint))?;
    for without in found.without {
        context.printer.warning(format_args!("{}: {without} names no image", path.display()));
    }
    Ok(List::Images(found.images))
}

/// The lines that are no comment.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The sources that a pattern stands for; a source that is none stands for itself.
fn expand(text: &str) -> Result<Vec<String>, Failure> {
    let source: Source = text.parse().map_err(Failure::usage)?;
    let (Source::Archive { path, .. }, true) = (source, text.contains(['*', '?', '['])) else {
        return Ok(vec![text.to_owned()]);
    };
    let Some(pattern) = path.to_str().filter(|_| !path.exists()) else {
        return Ok(vec![text.to_owned()]);
    };
    // A transport stays before the path, and the name of an image behind it.
    let Some((before, after)) = text.split_once(pattern) else { return Ok(vec![text.to_owned()]) };
    let unusable = |problem: &dyn std::fmt::Display| {
        Failure::usage(format!("the pattern {pattern:?} can't be used: {problem}"))
    };
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let mut paths = Vec::new();
    for path in glob::glob_with(pattern, options).map_err(|error| unusable(&error))? {
        let path = path.map_err(|error| Failure::of(Exit::Unavailable, &error))?;
        let Some(path) = path.to_str() else {
            return Err(unusable(&format!("{} is not UTF-8", path.display())));
        };
        // Nobody named this one: a pipe is not waited for.
        if std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir()) {
            return Err(unusable(&format!("{path} is neither a file nor a directory")));
        }
        if !before.is_empty() && path.contains([':', '@']) {
            return Err(unusable(&format!("{path} has a colon or @ in its name")));
        }
        paths.push(path.to_owned());
    }
    if paths.is_empty() {
        return Err(Failure::new(Exit::Unavailable, format!("nothing matches {pattern}"))
            .or_nearest_file(Path::new(pattern)));
    }
    paths.sort_unstable();
    Ok(paths.into_iter().map(|path| format!("{before}{}{after}", as_path(path))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines() {
        let text = "# images\n\n a.tar \n  # more\ndocker-daemon:app:1\r\nb#c.tar\n";
        assert_eq!(lines(text).collect::<Vec<_>>(), ["a.tar", "docker-daemon:app:1", "b#c.tar"]);
    }

    #[test]
    fn patterns() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        for name in ["b.tar", "a.tar", ".c.tar", "d[1].tar", "e:f.tar"] {
            crate::fsutil::write_new(Path::new(&path(name)), b"", crate::fsutil::Mode::Private)
                .unwrap();
        }
        let ok = |text: &str| expand(text).unwrap();
        assert_eq!(ok(&path("?.tar")), [path("a.tar"), path("b.tar")], "sorted, hidden ones left");
        assert_eq!(ok(&path("d[1].tar")), [path("d[1].tar")], "it exists");
        assert_eq!(ok(&path("x.tar")), [path("x.tar")], "no pattern");
        assert_eq!(ok("docker-daemon:a*"), ["docker-daemon:a*"], "no path");
        let tagged = format!("oci-archive:{}:v1", path("a*.tar"));
        assert_eq!(ok(&tagged), [format!("oci-archive:{}:v1", path("a.tar"))]);
        assert_eq!(expand(&path("z*")).unwrap_err().exit, Exit::Unavailable);
        assert_eq!(expand(&path("[")).unwrap_err().exit, Exit::Usage);
        let colon = format!("docker-archive:{}", path("e*"));
        assert!(expand(&colon).unwrap_err().message.contains("colon"));
        let pipe = directory.path().join("g.pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        assert!(expand(&path("g*")).unwrap_err().message.contains("neither a file nor"));
        assert_eq!(expand(&path("g.pipe")).unwrap(), [path("g.pipe")], "the user names it");
        for (path, safe) in [("-", "./-"), ("oci:x", "./oci:x"), ("a", "a"), ("/a:b", "/a:b")] {
            assert_eq!(as_path(path.to_owned()), safe);
        }
    }
}
