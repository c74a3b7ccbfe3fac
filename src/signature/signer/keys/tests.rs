//! Tests of the list of keys.

use super::*;

const LIST: &str = r#"{
    "default": "b",
    "keys": [
        {
            "name": "a",
            "keyPath": "/k/a.key",
            "certPath": "/k/a\u0026b.crt",
            "note": 1
        },
        {
            "name": "b",
            "id": "k1",
            "pluginName": "com.example.p",
            "pluginConfig": {
                "x": "y"
            }
        }
    ],
    "unknown": {
        "z": []
    }
}
"#;

fn local(name: &str) -> SigningKey {
    let source = KeySource::Local { key_path: "/k".into(), cert_path: "/c".into() };
    SigningKey { name: name.to_owned(), source: Some(source) }
}

#[test]
fn a_list_is_read_and_written_unchanged() {
    let list = SigningKeys::parse(LIST.as_bytes()).unwrap();
    assert_eq!(list.default_name(), Some("b"));
    assert!(matches!(
        list.find(None).unwrap().source,
        Some(KeySource::Plugin { ref config, .. }) if config["x"] == "y"
    ));
    assert!(matches!(
        list.find(Some("a")).unwrap().source,
        Some(KeySource::Local { ref cert_path, .. }) if cert_path == Path::new("/k/a&b.crt")
    ));
    assert_eq!(String::from_utf8(list.to_bytes()).unwrap(), LIST);
}

/// The bytes of the specification (§7, observed).
#[test]
fn a_new_list_is_written_as_notation_does() {
    let mut list = SigningKeys::default();
    list.add(local("n"), MakeDefault::Yes).unwrap();
    assert_eq!(
        String::from_utf8(list.to_bytes()).unwrap(),
        "{\n    \"default\": \"n\",\n    \"keys\": [\n        {\n            \"name\": \"n\",\n            \"keyPath\": \"/k\",\n            \"certPath\": \"/c\"\n        }\n    ]\n}\n"
    );
}

#[test]
fn keys_are_added_removed_and_made_default() {
    let mut list = SigningKeys::parse(LIST.as_bytes()).unwrap();
    assert!(matches!(list.add(local("a"), MakeDefault::No), Err(KeysError::Exists { .. })));
    assert!(matches!(list.add(local(""), MakeDefault::No), Err(KeysError::Name)));
    list.add(local("c"), MakeDefault::No).unwrap();
    assert_eq!(list.default_name(), Some("b"));
    assert_eq!(list.remove("b").unwrap(), WasDefault::Yes);
    assert!(matches!(list.find(None), Err(KeysError::NoDefault { .. })));
    assert_eq!(list.find(Some("b")).unwrap_err().to_string(), "signing key b not found");
    list.set_default("c").unwrap();
    assert!(list.set_default("d").is_err());
    assert_eq!(list.remove("a").unwrap(), WasDefault::No);
    assert_eq!(list.keys().len(), 1);
}

#[test]
fn s6_malformed_lists_are_refused() {
    for (text, reason) in [
        (r#"{"keys":[{"name":"a"},{"name":"a"}]}"#, "multiple keys with name \"a\""),
        (r#"{"keys":[{"name":""}]}"#, "key name cannot be empty"),
        (r#"{"keys":[{}]}"#, "key name cannot be empty"),
        (r#"{"default":"b","keys":[{"name":"a"}]}"#, "default key \"b\" not found"),
        (r#"{"keys":{}}"#, "member \"keys\" has an unexpected type"),
        (r#"{"keys":[1]}"#, "member \"keys\" has an unexpected type"),
        (r#"{"keys":[{"name":1}]}"#, "member \"name\" has an unexpected type"),
        (r#"{"keys":[],"keys":[]}"#, "duplicate member"),
        (r#"{"Keys":[]}"#, "differs only in letter case"),
        (r#"{"keys":[{"name":"a","keypath":"/x"}]}"#, "differs only in letter case"),
        (r#"{"keys":[]} {}"#, "trailing data"),
    ] {
        let error = SigningKeys::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    assert!(SigningKeys::parse(b"{}").unwrap().keys().is_empty());
}
