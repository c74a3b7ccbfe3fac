//! Tables for [`super`]: every rule of spec/notation.md §5.2 with notation's text.

use super::*;
use crate::trust::level::LevelName;

/// A statement of an OCI document with some members replaced; `null` removes nothing, it is null.
fn statement(changes: &[(&str, &str)]) -> String {
    let mut members = vec![
        ("name", "\"p\""),
        ("registryScopes", "[\"*\"]"),
        ("signatureVerification", "{\"level\":\"strict\"}"),
        ("trustStores", "[\"ca:s\"]"),
        ("trustedIdentities", "[\"*\"]"),
    ];
    for change in changes {
        match members.iter_mut().find(|member| member.0 == change.0) {
            Some(member) => member.1 = change.1,
            None => members.push(*change),
        }
    }
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn document(statements: &[String]) -> String {
    format!("{{\"version\":\"1.0\",\"trustPolicies\":[{}]}}", statements.join(","))
}

fn oci(text: &str) -> Result<OciPolicy, String> {
    OciPolicy::parse(text.as_bytes()).map_err(|error| error.to_string())
}

fn blob(text: &str) -> Result<BlobPolicy, String> {
    BlobPolicy::parse(text.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn a_whole_document_is_read() {
    let text = document(&[
        statement(&[
            ("name", "\"wabbit\""),
            ("registryScopes", "[\"local/x\",\"localhost:5000/y\"]"),
            (
                "signatureVerification",
                r#"{"level":"permissive","override":{"expiry":"enforce"},"verifyTimestamp":"afterCertExpiry"}"#,
            ),
            ("trustStores", "[\"ca:s\",\"tsa:t\",\"signingAuthority:a\",\"ca:s2\"]"),
            ("trustedIdentities", "[\"x509.subject: C=US, ST=WA, O=Notary\"]"),
            ("unknown", "{\"a\":1}"),
        ]),
        statement(&[]),
    ]);
    let policy = oci(&text).unwrap();
    let statement = policy.select(Some(&Repository::parse("local/x").unwrap())).unwrap();
    assert_eq!(statement.name(), "wabbit");
    assert_eq!(statement.level().name(), LevelName::Custom);
    assert_eq!(statement.timestamp_rule(), TimestampRule::AfterCertExpiry);
    let names: Vec<_> = statement.stores(StoreType::Ca).map(StoreRef::name).collect();
    assert_eq!(names, ["s", "s2"]);
    assert_eq!(statement.stores(StoreType::Tsa).count(), 1);
    assert_eq!(statement.identities().texts(), ["x509.subject: C=US, ST=WA, O=Notary"]);
    assert_eq!(policy.named("p").unwrap().name(), "p");
    assert_eq!(policy.statements().len(), 2);
}

#[test]
fn every_rule_of_an_oci_statement_has_its_text() {
    for (changes, message) in [
        (
            ("name", "\"\""),
            "oci trust policy: a trust policy statement is missing a name, every statement requires a name",
        ),
        (
            ("name", "null"),
            "oci trust policy: a trust policy statement is missing a name, every statement requires a name",
        ),
        (
            ("signatureVerification", "null"),
            "oci trust policy: trust policy statement \"p\" has invalid signatureVerification: signature verification level is empty or missing in the trust policy statement",
        ),
        (
            ("signatureVerification", r#"{"level":"strict","override":{"integrity":"log"}}"#),
            "oci trust policy: trust policy statement \"p\" has invalid signatureVerification: \"integrity\" verification can not be overridden in custom signature verification",
        ),
        (
            ("signatureVerification", r#"{"level":"strict","override":{"authenticity":"skip"}}"#),
            "oci trust policy: trust policy statement \"p\" has invalid signatureVerification: \"authenticity\" verification can not be skipped in custom signature verification",
        ),
        (
            ("signatureVerification", r#"{"level":"strict","verifyTimestamp":"never"}"#),
            "oci trust policy: trust policy statement \"p\" has invalid signatureVerification: verifyTimestamp must be \"always\" or \"afterCertExpiry\", but got \"never\"",
        ),
        (
            ("signatureVerification", r#"{"level":"skip"}"#),
            "oci trust policy: trust policy statement \"p\" is set to skip signature verification but configured with trust stores and/or trusted identities, remove them if signature verification needs to be skipped",
        ),
        (
            ("trustStores", "[]"),
            "oci trust policy: trust policy statement \"p\" is either missing trust stores or trusted identities, both must be specified",
        ),
        (
            ("trustedIdentities", "null"),
            "oci trust policy: trust policy statement \"p\" is either missing trust stores or trusted identities, both must be specified",
        ),
        (
            ("trustStores", "[\"ca\"]"),
            "oci trust policy: trust policy statement \"p\" has malformed trust store value \"ca\". The required format is <TrustStoreType>:<TrustStoreName>",
        ),
        (
            ("trustStores", "[\"CA:s\"]"),
            "oci trust policy: trust policy statement \"p\" uses an unsupported trust store type \"CA\" in trust store value \"CA:s\"",
        ),
        (
            ("trustStores", "[\"ca:a/b\"]"),
            "oci trust policy: trust policy statement \"p\" uses an unsupported trust store name \"a/b\" in trust store value \"ca:a/b\". Named store name needs to follow [a-zA-Z0-9_.-]+ format",
        ),
        (
            ("trustedIdentities", "[\"x509.subject: c=US, ST=WA, O=Notary\"]"),
            "oci trust policy: trust policy statement \"p\" has trusted identity \"x509.subject: c=US, ST=WA, O=Notary\" with invalid identity value: distinguished name (DN) \" c=US, ST=WA, O=Notary\" has no mandatory RDN attribute for \"C\", it must contain 'C', 'ST' or 'S', and 'O' RDN attributes at a minimum",
        ),
        (
            ("registryScopes", "[]"),
            "oci trust policy statement \"p\" has zero registry scopes, it must specify registry scopes with at least one value",
        ),
        (
            ("registryScopes", "[\"*\",\"local/x\"]"),
            "oci trust policy statement \"p\" uses wildcard registry scope '*', a wildcard scope cannot be used in conjunction with other scope values",
        ),
        (
            ("registryScopes", "[\"local\"]"),
            "registry scope \"local\" is not valid, make sure it is a fully qualified repository without the scheme, protocol or tag. For example domain.com/my/repository or a local scope like local/myOCILayout",
        ),
        (
            ("registryScopes", "[\"local/x\",\"local/x\"]"),
            "registry scope \"local/x\" is present in multiple oci trust policy statements, one registry scope value can only be associated with one statement",
        ),
    ] {
        assert_eq!(oci(&document(&[statement(&[changes])])).unwrap_err(), message);
    }
}

#[test]
fn every_rule_of_a_document_has_its_text() {
    for (text, message) in [
        (
            r#"{"trustPolicies":[]}"#.to_owned(),
            "oci trust policy document has empty version, version must be specified",
        ),
        (
            r#"{"version":"1.1"}"#.to_owned(),
            "oci trust policy document uses unsupported version \"1.1\"",
        ),
        (document(&[]), "oci trust policy document can not have zero trust policy statements"),
        (
            document(&[statement(&[]), statement(&[("registryScopes", "[\"local/x\"]")])]),
            "multiple oci trust policy statements use the same name \"p\", statement names must be unique",
        ),
        (
            document(&[statement(&[]), statement(&[("name", "\"q\"")])]),
            "registry scope \"*\" is present in multiple oci trust policy statements, one registry scope value can only be associated with one statement",
        ),
    ] {
        assert_eq!(oci(&text).unwrap_err(), message);
    }
}

/// Rules N-10 to N-12: what two parsers read differently is no policy.
#[test]
fn s6_ambiguous_documents_are_refused() {
    let good = document(&[statement(&[])]);
    assert!(oci(&good).is_ok());
    for (what, text) in [
        ("duplicate member", statement(&[("\"\\u006eame", "\"q\"")]).replace("\"\"", "\"")),
        ("case variant", statement(&[("TrustStores", "[\"ca:other\"]")])),
        ("case variant alone", statement(&[]).replace("trustStores", "truststores")),
        (
            "duplicate override",
            statement(&[(
                "signatureVerification",
                r#"{"level":"strict","override":{"expiry":"log","expiry":"enforce"}}"#,
            )]),
        ),
        ("wrong type", statement(&[("trustStores", "\"ca:s\"")])),
    ] {
        let error = oci(&document(&[text])).unwrap_err();
        assert!(error.starts_with("malformed oci trust policy: "), "{what}: {error}");
    }
    for (what, text) in [
        ("trailing data", format!("{good} {{}}")),
        ("byte order mark", format!("\u{feff}{good}")),
        ("empty", String::new()),
        ("array", "[]".to_owned()),
        ("depth", format!("{}{}", "[".repeat(40), "]".repeat(40))),
    ] {
        assert!(oci(&text).is_err(), "{what}");
    }
}

#[test]
fn selection_is_exact_then_wildcard_then_refusal() {
    let exact = statement(&[("name", "\"exact\""), ("registryScopes", "[\"localhost:5000/e2e\"]")]);
    let with = oci(&document(&[statement(&[]), exact.clone()])).unwrap();
    let without = oci(&document(&[exact])).unwrap();
    for (scope, expected_with, expected_without) in [
        (Some("localhost:5000/e2e"), "exact", Some("exact")),
        (Some("localhost:5001/e2e"), "p", None),
        (Some("Localhost:5000/e2e"), "p", None),
        (Some("localhost:5000/e2e2"), "p", None),
        (Some("localhost:5000/e2e/x"), "p", None),
        (None, "p", None),
    ] {
        let repository = scope.map(|scope| Repository::parse(scope).unwrap());
        assert_eq!(with.select(repository.as_ref()).unwrap().name(), expected_with);
        match expected_without {
            Some(name) => assert_eq!(without.select(repository.as_ref()).unwrap().name(), name),
            None => assert!(matches!(
                without.select(repository.as_ref()),
                Err(PolicyError::NoStatement { .. })
            )),
        }
    }
}

#[test]
fn skip_needs_no_trust_and_null_lists_are_empty() {
    let text = document(&[statement(&[
        ("signatureVerification", r#"{"level":"skip","override":null}"#),
        ("trustStores", "null"),
        ("trustedIdentities", "[]"),
    ])]);
    assert!(oci(&text).unwrap().select(None).unwrap().level().is_skip());
}

#[test]
fn blob_documents_have_a_global_statement_and_names() {
    let text = document(&[
        statement(&[("name", "\"g\""), ("globalPolicy", "true")]),
        statement(&[("name", "\"n\""), ("globalPolicy", "false")]),
    ]);
    let policy = blob(&text).unwrap();
    assert_eq!(policy.select(None).unwrap().name(), "g");
    assert_eq!(policy.select(Some("n")).unwrap().name(), "n");
    assert_eq!(
        policy.select(Some("m")).unwrap_err().to_string(),
        "no blob trust policy statement is named \"m\"; there are: g, n"
    );
    let only_named = blob(&document(&[statement(&[])])).unwrap();
    assert!(matches!(only_named.select(None), Err(PolicyError::NoGlobalStatement)));
}

/// Rule F3: notation means to forbid it and compares the wrong things.
#[test]
fn f3_a_global_blob_statement_can_not_skip() {
    let skip = [
        ("globalPolicy", "true"),
        ("signatureVerification", r#"{"level":"skip"}"#),
        ("trustStores", "[]"),
        ("trustedIdentities", "[]"),
    ];
    assert!(blob(&document(&[statement(&skip)])).unwrap_err().contains("can't skip"));
    assert!(blob(&document(&[statement(&skip[1..])])).is_ok());
    let two = [
        statement(&[("globalPolicy", "true")]),
        statement(&[("name", "\"q\""), ("globalPolicy", "true")]),
    ];
    assert!(
        blob(&document(&two)).unwrap_err().starts_with("multiple blob trust policy statements")
    );
}
