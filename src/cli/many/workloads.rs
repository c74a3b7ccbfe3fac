//! The images that a Compose file or Kubernetes manifests name.
//!
//! An image that is overlooked is an image that nobody verified. What these files leave to other
//! tools (variables, `include`, `extends`) is therefore refused with the command that settles it,
//! and in Kubernetes objects of any kind, known or not, whatever is called `containers`,
//! `initContainers` or `ephemeralContainers`, and every image volume, counts, at any depth: so do
//! the pod templates of Deployments, CronJobs, Lists and of resources that others define.

use std::collections::HashSet;
use std::rc::Rc;

use super::yaml::{self, Node, Steps};

/// Longest name of an image.
const MAX_IMAGE_BYTES: usize = 1024;
/// How much is shown of a name, which may be as long as the file and stand there again and again.
const SHOWN_CHARS: usize = 253;
/// Most that has no image.
const MAX_WITHOUT: usize = 10_000;

/// Keys of lists of containers (Kubernetes API, PodSpec).
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// What a file names.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    /// The images, each once, in their order.
    pub(super) images: Vec<String>,
    /// What has no image, for people.
    pub(super) without: Vec<String>,
    /// The same images.
    known: HashSet<Rc<str>>,
}

impl Workloads {
    fn add(&mut self, image: &Node, of: &str) -> Result<(), String> {
        match image {
            Node::Scalar(text) if text.len() > MAX_IMAGE_BYTES => {
                return Err(format!("the image of {of} has more than {MAX_IMAGE_BYTES} bytes"));
            }
            Node::Scalar(text) if !text.trim().is_empty() => {
                if self.known.insert(Rc::clone(text)) {
                    self.images.push(text.to_string());
                }
            }
            Node::Null | Node::Scalar(_) if self.without.len() == MAX_WITHOUT => {
                return Err(format!("more than {MAX_WITHOUT} containers name no image"));
            }
            Node::Null | Node::Scalar(_) => self.without.push(of.to_owned()),
            _ => return Err(format!("the image of {of} is no text")),
        }
        Ok(())
    }
}

/// Whether a list is such a file: it begins as a YAML mapping or a document does. An image has no
/// space behind a colon.
pub(super) fn is_yaml(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.find(|line| !line.trim_start().is_empty() && !line.starts_with('#'));
    let Some(first) = first else { return false };
    first.starts_with("---")
        || first.starts_with("%YAML")
        || first.starts_with('{')
        || first.split_once(':').is_some_and(|(key, rest)| {
            let is_key =
                |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '"' | '\'');
            !key.is_empty() && key.chars().all(is_key) && (rest.is_empty() || rest.starts_with(' '))
        })
}

/// Reads the file.
///
/// # Errors
/// What is wrong with it, for people, and a command that helps.
pub(super) fn read(text: &str) -> Result<Workloads, (String, Option<String>)> {
    let documents = yaml::read(text).map_err(|problem| (problem, None))?;
    let mut found = Workloads::default();
    let mut steps = Steps::default();
    for document in documents {
        if *document == Node::Null {
            continue;
        }
        let mut has = |key| document.get(key, &mut steps).map(|it| it.is_some());
        let no_hint = |problem| (problem, None);
        let has_kind = has("kind").map_err(no_hint)?;
        if !has_kind && has("services").map_err(no_hint)? {
            compose(&document, &mut found, &mut steps).map_err(|problem| {
                let hint = "docker compose config | dockseal verify --from - --store docker-daemon";
                (problem, Some(hint.to_owned()))
            })?;
        } else if has_kind && has("apiVersion").map_err(no_hint)? {
            let name = object(&document, &mut steps).map_err(no_hint)?;
            kubernetes(&document, &name, &mut found, &mut steps).map_err(no_hint)?;
        } else {
            let problem =
                "neither a Compose file (services) nor a Kubernetes object (apiVersion, kind)";
            return Err((problem.to_owned(), None));
        }
    }
    Ok(found)
}

fn compose(document: &Node, found: &mut Workloads, steps: &mut Steps) -> Result<(), String> {
    if document.get("include", steps)?.is_some() {
        return Err("it includes other files".to_owned());
    }
    let services = document.get("services", steps)?.unwrap_or(&Node::Null);
    if !matches!(services, Node::Mapping(_)) {
        return Err("services is no mapping".to_owned());
    }
    for (name, service) in services.pairs() {
        if &**name == "<<" {
            return Err("services are merged into it".to_owned());
        }
        let of = format!("service {:?}", shown(name));
        if service.get("extends", steps)?.is_some() {
            return Err(format!("{of} extends another one"));
        }
        let image = service.get("image", steps)?.unwrap_or(&Node::Null);
        found.add(image, &of)?;
        if image.text().is_some_and(|text| text.contains('$')) {
            return Err(format!("the image of {of} depends on variables"));
        }
    }
    Ok(())
}

/// Kind and name of an object, for people.
fn object(document: &Node, steps: &mut Steps) -> Result<String, String> {
    let name = match document.get("metadata", steps)? {
        Some(metadata) => text(metadata, "name", steps)?,
        None => "?".to_owned(),
    };
    Ok(format!("{} {name:?}", text(document, "kind", steps)?))
}

/// The text of a key, for people.
fn text(node: &Node, key: &str, steps: &mut Steps) -> Result<String, String> {
    Ok(shown(node.get(key, steps)?.and_then(Node::text).unwrap_or("?")))
}

/// As much of a name as is shown.
fn shown(name: &str) -> String {
    name.chars().take(SHOWN_CHARS).collect()
}

fn kubernetes(
    node: &Node,
    of: &str,
    found: &mut Workloads,
    steps: &mut Steps,
) -> Result<(), String> {
    steps.take(1)?;
    match node {
        Node::Null | Node::Scalar(_) => {}
        Node::Sequence(values) => {
            for value in values {
                let own = match value.get("kind", steps)? {
                    Some(_) => Some(object(value, steps)?),
                    None => None,
                };
                kubernetes(value, own.as_deref().unwrap_or(of), found, steps)?;
            }
        }
        Node::Mapping(pairs) => {
            for (key, value) in pairs {
                match &**value {
                    Node::Sequence(containers) if CONTAINERS.contains(&&**key) => {
                        for container in containers {
                            let name = text(container, "name", steps)?;
                            let image = container.get("image", steps)?.unwrap_or(&Node::Null);
                            found.add(image, &format!("container {name:?} of {of}"))?;
                        }
                    }
                    Node::Sequence(volumes) if &**key == "volumes" => {
                        for volume in volumes {
                            let Some(image) = volume.get("image", steps)? else { continue };
                            if let Some(image) = image.get("reference", steps)? {
                                found.add(image, &format!("a volume of {of}"))?;
                            }
                        }
                    }
                    _ => {}
                }
                kubernetes(value, of, found, steps)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_told_from_yaml_by_their_first_line() {
        for yaml in [
            "services:\n",
            "# a\n\napiVersion: v1\n",
            "---\nkind: Pod\n",
            "{\"apiVersion\": \"v1\"}",
            "%YAML 1.2\n---\n",
            "x-common: &common\n",
            "\"services\":\n",
        ] {
            assert!(is_yaml(yaml), "{yaml}");
        }
        for list in
            ["", "a.tar\n", "docker-daemon:app:1\n", "# a: b\nc.tar\n", "app:1\n", "./a: b\n"]
        {
            assert!(!is_yaml(list), "{list}");
        }
    }

    #[test]
    fn every_kind_with_a_pod_template() {
        let spec = |n: usize| format!("{{containers: [{{name: c, image: 'app:{n}'}}]}}");
        let text = format!(
            "apiVersion: v1\nkind: Pod\nspec: {}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nspec: {{template: {{spec: {}}}}}\n---\n\
             apiVersion: batch/v1\nkind: CronJob\n\
             spec: {{jobTemplate: {{spec: {{template: {{spec: {}}}}}}}}}\n---\n\
             apiVersion: v1\nkind: PodTemplate\ntemplate: {{spec: {}}}\n---\n\
             apiVersion: v1\nkind: List\nitems: [{{apiVersion: v1, kind: Pod, spec: {}}}]\n---\n\
             apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nspec: {{template: {{spec: {}}}}}\n---\n\
             apiVersion: v1\nkind: ConfigMap\ndata: {{containers: 'image: no'}}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  \
             initContainers: [{{name: i, image: 'init:1'}}]\n  \
             ephemeralContainers: [{{name: e, image: 'debug:1'}}]\n  \
             containers: [{{name: n}}, {{name: again, image: 'app:1'}}]\n  \
             volumes: [{{name: v, image: {{reference: 'data:1'}}}}, {{name: w, emptyDir: {{}}}}]\n",
            spec(1),
            spec(2),
            spec(3),
            spec(4),
            spec(5),
            spec(6),
        );
        let found = read(&text).unwrap();
        let expected =
            ["app:1", "app:2", "app:3", "app:4", "app:5", "app:6", "init:1", "debug:1", "data:1"];
        assert_eq!(found.images, expected);
        assert_eq!(found.without, [r#"container "n" of Pod "p""#]);
    }

    #[test]
    fn services_of_compose() {
        let text = "x-base: &base {image: 'base:1'}\nservices:\n  a: {image: 'app:1'}\n  \
                    b: {build: .}\n  c: {<<: *base, command: x}\n  d: {image: 'app:1'}\n";
        let found = read(text).unwrap();
        assert_eq!(found.images, ["app:1", "base:1"]);
        assert_eq!(found.without, [r#"service "b""#]);
    }

    #[test]
    fn what_would_be_overlooked_is_refused() {
        for (text, problem) in [
            ("services: {a: {image: 'app:${TAG}'}}", "depends on variables"),
            ("services: {a: {extends: {service: b}}}", "extends another one"),
            ("include: [b.yaml]\nservices: {}", "includes other files"),
            ("services: {a: {image: [x]}}", "is no text"),
            ("services: [a]", "no mapping"),
            ("services: {<<: {a: {image: x}}}", "merged"),
            ("a: 1", "neither a Compose file"),
            ("- a", "neither a Compose file"),
        ] {
            let (error, _) = read(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    /// Values that are aliased again and again, and merges, cost what they would if they were written
    /// out; what is merely long does not.
    #[test]
    fn s11_aliases_and_merges_are_counted() {
        let levels = |first: &str, of: &dyn Fn(usize) -> String, count: usize| {
            let next = (1..count).map(|level| format!("a{level}: &a{level} {}\n", of(level - 1)));
            format!("a0: &a0 {first}\n{}", next.collect::<String>())
        };
        let nine = |below: usize| format!("[{}]", [format!("*a{below}").as_str(); 9].join(", "));
        let merge = |below: usize| format!("{{<<: [*a{below}, *a{below}]}}");
        let kubernetes = "apiVersion: v1\nkind: List\n";
        for (text, problem) in [
            (format!("{kubernetes}{}", levels("[x, x, x]", &nine, 10)), "counting aliases"),
            (
                format!("{}services: {{s: *a30}}\n", levels("{b: 1}", &merge, 31)),
                "counting aliases and merges",
            ),
            (format!("{kubernetes}{}", levels("[]", &|n| format!("[*a{n}]"), 200_000)), "nested"),
            (format!("services: {{s: {{image: {}}}}}", "x".repeat(1025)), "more than 1024 bytes"),
            (
                format!("{kubernetes}containers: [{}]", "{}, ".repeat(10_001)),
                "more than 10000 containers name no image",
            ),
        ] {
            let (error, _) = read(&text).unwrap_err();
            assert!(error.contains(problem), "{}: {error}", &text[..80]);
        }
        let text = format!("{}services: {{s: *a10}}\n", levels("{image: x}", &merge, 11));
        assert_eq!(read(&text).unwrap().images, ["x"]);
        let containers: String = (0..50_000).map(|n| format!("- {{image: 'a:{n}'}}\n")).collect();
        let found = read(&format!("{kubernetes}containers:\n{containers}")).unwrap();
        assert_eq!((found.images.len(), &*found.images[49_999]), (50_000, "a:49999"));
    }
}
