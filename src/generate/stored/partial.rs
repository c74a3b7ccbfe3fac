//! Images of which not everything is there: what engines push of them differs (spec/docker.md §5.1,
//! §5.2).
//!
//! Docker 24 to 26 push nothing. Docker 27 and newer push one manifest instead of an index with
//! missing manifests, whatever the registry holds: the only complete one, else that of the host.
//! Where only blobs of a manifest that is there are missing, the registry may have them: nobody can
//! know.

use super::{GenerateError, Tree};
use crate::generate::PushingEngine;
use crate::image::platform::Platform;

/// What a push without a platform sends.
pub(super) fn pushed<'t>(
    tree: &'t Tree,
    engine: Option<&PushingEngine>,
) -> Result<&'t Tree, GenerateError> {
    if tree.is_complete() {
        return Ok(tree);
    }
    let complete: Vec<&Tree> =
        tree.images().into_iter().filter(|image| image.is_complete()).collect();
    let nodes = tree.all();
    let lacks_blobs = nodes.iter().any(|node| !node.missing_blobs.is_empty());
    let why = match engine {
        None => unknown_engine(&complete),
        Some(engine) if !engine.falls_back => {
            format!("docker {} pushes nothing then", engine.version)
        }
        Some(_) if lacks_blobs => {
            "the registry may hold the layers or configs that are missing, or not".to_owned()
        }
        Some(engine) => match fallback(&complete, &engine.host) {
            Ok(chosen) => return Ok(chosen),
            Err(why) => why,
        },
    };
    Err(undeterminable(tree, &complete, &why))
}

/// The manifest that stands in for the index: the only one, else the host's.
fn fallback<'t>(complete: &[&'t Tree], host: &Platform) -> Result<&'t Tree, String> {
    let platform = |image: &&'t Tree| image.platform.clone();
    match complete {
        [] => return Err("no platform of it is complete, and nothing is pushed".to_owned()),
        [only] => return Ok(only),
        [..] => {}
    }
    let of_host =
        complete.iter().filter(|image| platform(image).is_some_and(|it| it.matches(host)));
    match of_host.copied().collect::<Vec<_>>().as_slice() {
        [only] => Ok(only),
        // Variants of the host's processor that a newer containerd takes for it, or no match.
        _ => Err(format!(
            "which of several platforms the engine on {host} prefers is open: {}",
            describe(complete).join(", ")
        )),
    }
}

fn unknown_engine(complete: &[&Tree]) -> String {
    let names = describe(complete).join(", ");
    match complete {
        [] => "no platform of it is complete".to_owned(),
        [_] => format!(
            "docker 27 and newer push the one complete platform instead, {names}, \
             docker 24 to 26 refuse"
        ),
        _ => format!("docker 27 and newer push the host's platform, one of {names}"),
    }
}

fn describe(images: &[&Tree]) -> Vec<String> {
    let describe = |image: &&Tree| {
        let platform = image.platform.as_ref().map_or_else(String::new, ToString::to_string);
        format!("{platform} ({})", image.own.digest)
    };
    images.iter().map(describe).collect()
}

fn undeterminable(tree: &Tree, complete: &[&Tree], why: &str) -> GenerateError {
    let missing = tree
        .all()
        .iter()
        .flat_map(|node| node.missing_children.iter().chain(&node.missing_blobs))
        .map(|descriptor| descriptor.digest.to_string())
        .collect::<Vec<_>>();
    let reason = format!(
        "{} needs content that is not in the archive ({}); {why}",
        tree.own.digest,
        missing.join(", ")
    );
    let platform = complete.first().and_then(|image| image.platform.as_ref());
    let hint = match platform {
        Some(platform) => format!("name the platform to push: --platform {platform}"),
        None => "save the image again after all of it was pulled".to_owned(),
    };
    GenerateError::Undeterminable { reason, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::manifest::RawManifest;
    use crate::image::media_type;

    /// A manifest for a platform; `lacks` says whether a blob of it is missing.
    fn manifest(platform: &str, lacks: bool) -> Tree {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{digest}","size":1}},"layers":[],"annotations":{{"for":"{platform}"}}}}"#,
            media_type::OCI_MANIFEST,
            media_type::OCI_CONFIG,
        );
        let raw = RawManifest::parse(text.into_bytes(), None).unwrap();
        Tree {
            own: raw.descriptor.clone(),
            platform: Some(platform.parse().unwrap()),
            children: Vec::new(),
            missing_children: Vec::new(),
            missing_blobs: if lacks { vec![raw.descriptor.clone()] } else { Vec::new() },
            raw,
        }
    }

    fn index(children: Vec<Tree>, missing: usize) -> Tree {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
            media_type::OCI_INDEX
        );
        let raw = RawManifest::parse(text.into_bytes(), None).unwrap();
        let other = manifest("linux/s390x", false).own;
        Tree {
            own: raw.descriptor.clone(),
            platform: None,
            children,
            missing_children: vec![other; missing],
            missing_blobs: Vec::new(),
            raw,
        }
    }

    /// The tables of spec/docker.md §5.1 and §5.2.
    #[test]
    fn what_engines_push_of_a_part() {
        let amd64 = || manifest("linux/amd64", false);
        let arm64 = || manifest("linux/arm64", false);
        let v3 = || manifest("linux/amd64/v3", false);
        let attestation = || manifest("unknown/unknown", false);
        let broken = || manifest("linux/arm64", true);
        for (row, tree, old, new) in [
            ("all", index(vec![amd64(), arm64()], 0), "the index", "the index"),
            ("one of two", index(vec![amd64()], 1), "nothing", "linux/amd64"),
            ("a foreign one", index(vec![arm64()], 1), "nothing", "linux/arm64"),
            ("the host's", index(vec![amd64(), arm64()], 1), "nothing", "linux/amd64"),
            ("not the host's", index(vec![v3(), arm64()], 1), "nothing", "which of several"),
            ("attestation there", index(vec![amd64(), attestation()], 1), "nothing", "linux/amd64"),
            ("none", index(vec![attestation()], 1), "nothing", "no platform of it is complete"),
            ("blobs missing", index(vec![amd64(), broken()], 0), "nothing", "the registry may"),
            ("both missing", index(vec![amd64(), broken()], 1), "nothing", "the registry may"),
        ] {
            for (falls_back, expected) in [(false, old), (true, new)] {
                let host = "linux/amd64".parse().unwrap();
                let engine = PushingEngine { version: "26.1.5".into(), falls_back, host };
                let found = match pushed(&tree, Some(&engine)) {
                    Ok(chosen) => chosen
                        .platform
                        .as_ref()
                        .map_or_else(|| "the index".to_owned(), ToString::to_string),
                    Err(error) => error.to_string(),
                };
                assert!(found.contains(expected), "{row}, {falls_back}: {found}");
            }
        }
        let error = pushed(&index(vec![amd64()], 1), None).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("docker 27 and newer push the one complete platform"), "{error}");
    }
}
