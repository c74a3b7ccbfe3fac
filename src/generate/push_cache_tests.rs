//! The tables of spec/docker.md §4.5 and §4.6.

use super::*;
use crate::gogzip::Generation;

fn digest(name: &str) -> Digest {
    Digest::sha256(name.as_bytes())
}

fn records(text: &str) -> Vec<Record> {
    let record = |word: &str| {
        let (repository, name) = word.split_once('@').unwrap();
        Record { digest: digest(name), repository: repository.to_owned() }
    };
    text.split_whitespace().map(record).collect()
}

#[test]
fn what_a_push_sends_for_a_layer() {
    // Records oldest first, target, what is sent, how sure that is.
    for (known, target, sent, verdict) in [
        ("", "", "fresh", Verdict::Certain),
        ("", "a.io/x", "fresh", Verdict::Certain),
        ("a.io/x@fresh", "", "fresh", Verdict::Certain),
        ("a.io/x@fresh b.io/y@fresh", "c.io/z", "fresh", Verdict::Certain),
        // Pulled, pushed to the same repository: the original.
        ("a.io/x@pulled", "a.io/x", "pulled", Verdict::Predicted),
        // Another repository of the same registry: mounted from the first.
        ("a.io/x@pulled", "a.io/y", "pulled", Verdict::Predicted),
        ("docker.io/library/x@pulled", "y", "pulled", Verdict::Predicted),
        // Another registry: compressed again, unless its repository has it.
        ("a.io/x@pulled", "b.io/x", "fresh", Verdict::Predicted),
        ("a.io:5000/x@pulled", "a.io/x", "fresh", Verdict::Predicted),
        // A third repository on the first registry, after a push to the second one.
        ("a.io/x@pulled b.io/x@fresh", "a.io/z", "pulled", Verdict::Predicted),
        ("a.io/x@pulled b.io/x@fresh", "b.io/z", "fresh", Verdict::Predicted),
        ("a.io/x@pulled", "", "fresh", Verdict::Conflicting),
        // The engine was built with another Go since: both are there, the newest of the repository
        // itself is tried first.
        ("a.io/x@old a.io/x@fresh", "a.io/x", "fresh", Verdict::Conflicting),
        ("a.io/x@old a.io/y@fresh", "a.io/x", "old", Verdict::Conflicting),
        ("a.io/x@old a.io/y@fresh", "a.io/z", "fresh", Verdict::Conflicting),
        ("a.io/x@old", "a.io/x", "old", Verdict::Predicted),
    ] {
        let target = (!target.is_empty()).then(|| target.parse::<Reference>().unwrap());
        let own = records(known);
        let found = predict(&digest("diff"), &digest("fresh"), Some(&own), target.as_ref());
        let row = format!("{known:?} to {target:?}");
        assert_eq!((found.digest, found.verdict), (digest(sent), verdict), "{row}");
    }
    let found = predict(&digest("diff"), &digest("fresh"), None, None);
    assert_eq!((found.verdict, found.reason), (Verdict::Predicted, Reason::NoRecords));
}

/// An image of two layers; the first compresses to `base`, the second to `own`.
fn fresh() -> Generated {
    let blob = |name: &str, diff_id: Option<&str>| BoundBlob {
        member: name.to_owned(),
        descriptor: Descriptor::new(media_type::DOCKER_LAYER_GZIP, digest(name), 10),
        stored: Blob { digest: digest(diff_id.unwrap_or(name)), size: 20 },
        diff_id: diff_id.map(digest),
        by: BoundBy::Compression,
    };
    Generated {
        bytes: Vec::new(),
        descriptor: Descriptor::of(media_type::DOCKER_MANIFEST, Algorithm::Sha256, b""),
        names: Vec::new(),
        origin: Origin::Rendered(Generation::Go1_8),
        blobs: vec![
            blob("config", None),
            blob("base", Some("diff 1")),
            blob("own", Some("diff 2")),
        ],
        notes: Vec::new(),
    }
}

fn pulled_base() -> Records {
    Records::from([(digest("diff 1"), records("a.io/base@pulled"))])
}

#[test]
fn a_pulled_base_needs_a_size() {
    let target = "a.io/app".parse().ok();
    let prediction = Prediction::of(&fresh(), Some(&pulled_base()), target.as_ref());
    assert!(!prediction.is_certain());
    let needed = prediction.unsized_layers(&fresh());
    assert_eq!(needed, BTreeMap::from([(digest("pulled"), digest("diff 1"))]));
    let missing = prediction.clone().manifest(fresh(), &BTreeMap::new(), &[]).unwrap_err();
    assert_eq!(missing, BTreeSet::from([digest("pulled")]));
    let sizes = BTreeMap::from([(digest("pulled"), KnownSize { size: 77, by: BoundBy::Digest })]);
    let generated = prediction.clone().manifest(fresh(), &sizes, &[]).unwrap();
    let text = String::from_utf8(generated.bytes.clone()).unwrap();
    let at = |what: String| text.find(&what).unwrap_or_else(|| panic!("{what} in {text}"));
    assert!(
        at(format!("\"size\": 77,\n         \"digest\": \"{}\"", digest("pulled")))
            < at(digest("own").to_string())
    );
    assert_eq!(generated.descriptor.digest, Digest::sha256(&generated.bytes));
    assert_eq!(generated.blobs.len(), 3);
    let verdicts = |generated: &Generated| {
        let layers = generated.notes.iter().filter_map(|note| match note {
            Note::Layer(layer) => Some(layer.verdict),
            _ => None,
        });
        layers.collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&generated), [Verdict::Predicted, Verdict::Certain]);
    // The engine's own record of such a manifest settles it; another one does not.
    let other = [format!("a.io/app@{}", digest("x"))];
    let recorded = [other[0].clone(), format!("a.io/app@{}", generated.descriptor.digest)];
    let proven =
        |all: &[String]| verdicts(&prediction.clone().manifest(fresh(), &sizes, all).unwrap());
    assert_eq!(proven(&other), [Verdict::Predicted, Verdict::Certain]);
    assert_eq!(proven(&recorded), [Verdict::Certain, Verdict::Certain]);
    let elsewhere = [format!("a.io/other@{}", generated.descriptor.digest)];
    assert_eq!(proven(&elsewhere), [Verdict::Predicted, Verdict::Certain]);
}

#[test]
fn nothing_known_of_any_layer_is_certain() {
    let prediction = Prediction::of(&fresh(), Some(&Records::new()), None);
    assert!(prediction.is_certain() && prediction.unsized_layers(&fresh()).is_empty());
    let generated = prediction.manifest(fresh(), &BTreeMap::new(), &[]).unwrap();
    assert_eq!(generated.blobs, fresh().blobs);
    assert!(!Prediction::of(&fresh(), None, None).is_certain());
}
