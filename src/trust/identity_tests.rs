//! Identities: the grammar of DNs, what matches, what is refused.

use super::*;

fn parsed(text: &str) -> Result<Vec<(String, String)>, String> {
    DistinguishedName::parse(text)
        .map(|name| name.0.into_iter().collect())
        .map_err(|error| error.to_string())
}

fn value_of(text: &str, kind: &str) -> Option<String> {
    DistinguishedName::parse(text).unwrap().0.get(kind).cloned()
}

/// The verified table of §5.3, policy side: what is accepted, and one value of it.
#[test]
fn policy_names_that_are_accepted() {
    for (text, kind, value) in [
        ("C=US, ST=WA, O=Notary", "O", "Notary"),
        ("C=US;ST=WA;O=Notary", "ST", "WA"),
        ("O=Notary,S=WA,C=US,CN=leaf-ec256", "ST", "WA"),
        ("  C = US ,  ST = WA ,  O =  a b  ", "O", "a b"),
        (r"C=US,ST=WA,O=a\,b", "O", "a,b"),
        (r"C=US,ST=WA,O=a\;b", "O", "a;b"),
        (r"C=US,ST=WA,O=a\+b", "O", "a+b"),
        (r"C=US,ST=WA,O=\C3\A9t\c3\a9", "O", "été"),
        (r"C=US,ST=WA,O=a\ ", "O", "a "),
        (r"C=US,ST=WA,O=\ a", "O", " a"),
        (r"C=US,ST=WA,O=\#1", "O", "#1"),
        ("C=US,ST=WA,O=\"a", "O", "\"a"),
        ("C=US,ST=WA,O=a=b", "O", "a=b"),
        ("C=US,ST=WA,O=x,CN=", "CN", ""),
        ("C=US,ST=WA,O=x,1.2.3=y", "1.2.3", "y"),
        ("C=US,ST=WA,O=x,c=DE", "c", "DE"),
        ("C=US,ST=WA,O=É", "O", "É"),
    ] {
        assert_eq!(value_of(text, kind).as_deref(), Some(value), "{text}");
    }
}

/// The verified table of §5.3, policy side: what is refused, and why.
#[test]
fn policy_names_that_are_refused() {
    for (text, reason) in [
        ("C=US,ST=WA,O=Notary,", "is not valid"),
        ("C=US,,ST=WA,O=Notary", "is not valid"),
        ("", "is not valid"),
        ("C=US,ST=WA,O", "is not valid"),
        ("=US,ST=WA,O=x", "is not valid"),
        (r"C=US,ST=WA,O=a\", "is not valid"),
        (r"C=US,ST=WA,O=a\zz", "is not valid"),
        (r"C=US,ST=WA,O=\ff", "is not valid"),
        ("C=US,ST=WA,O=a+OU=b", "multi-valued"),
        ("C=US,ST=WA,O=#0c01", "does not support"),
        ("C=US,ST=WA,O= #0c01", "does not support"),
        ("C=US,ST=WA,O=a,O=b", "duplicate RDN attribute for \"O\""),
        ("C=US,ST=WA,S=OR,O=a", "duplicate RDN attribute for \"ST\""),
        ("c=US,ST=WA,O=a", "no mandatory RDN attribute for \"C\""),
        ("2.5.4.6=US,ST=WA,O=a", "no mandatory RDN attribute for \"C\""),
        ("C=US,O=a", "no mandatory RDN attribute for \"ST\""),
        ("C=US,ST=WA,O=", "no mandatory RDN attribute for \"O\""),
    ] {
        let error = parsed(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

fn name(attributes: &[(&str, &str)]) -> DistinguishedName {
    let attributes = attributes.iter().map(|(kind, value)| (kind.to_string(), value.to_string()));
    DistinguishedName(attributes.collect())
}

#[test]
fn an_identity_matches_when_the_leaf_has_all_its_attributes() {
    let leaf = name(&[
        ("C", "US"),
        ("ST", "WA"),
        ("O", "Notary"),
        ("CN", "leaf, one"),
        ("1.2.840.113549.1.9.1", "a@example.com"),
    ]);
    for (identity, matches) in [
        ("x509.subject: C=US, ST=WA, O=Notary", true),
        ("x509.subject:O=Notary,S=WA,C=US,CN=leaf\\, one", true),
        ("x509.subject:C=US,ST=WA,O=Notary,1.2.840.113549.1.9.1=a@example.com", true),
        ("x509.subject:C=US,ST=WA,O=notary", false),
        ("x509.subject:C=US,ST=WA,O=Notary ", true),
        ("x509.subject:C=US,ST=WA,O=Notary\\ ", false),
        ("x509.subject:C=US,ST=WA,O=Notary,OU=x", false),
        ("x509.subject:C=US,ST=WA,O=Notary,OU=", true),
        ("x509.subject:C=US,ST=WA,O=Notary,CN=", false),
        ("x509.subject:C=US,ST=WA,O=Notary,CN=leaf", false),
        ("x509.subject:C=US,ST=WA,O=Notary,cn=leaf\\, one", false),
    ] {
        let identities = TrustedIdentities::parse(&[identity], IdentityKinds::X509).unwrap();
        assert_eq!(identities.matching(&leaf).is_some(), matches, "{identity}");
    }
}

#[test]
fn identity_lists() {
    let parse = |identities: &[&str]| TrustedIdentities::parse(identities, IdentityKinds::X509);
    assert_eq!(parse(&["*"]), Ok(TrustedIdentities::Any));
    for (identities, reason) in [
        (&["*", "x509.subject:C=US,ST=WA,O=x"][..], "a wildcard identity cannot be used"),
        (&[""], "has an empty trusted identity"),
        (&["C=US"], "missing separator"),
        (&["x509.subject:"], "without an identity value"),
        (&["foo:bar"], "unknown prefix"),
        (&["X509.subject:C=US,ST=WA,O=x"], "unknown prefix"),
        (
            &["x509.subject:C=US,ST=WA,O=x", "x509.subject:C=US,ST=WA,O=x,OU=y"],
            "overlapping x509 trustedIdentities",
        ),
        (
            &["x509.subject:C=US,ST=WA,O=x,OU=y", "x509.subject:C=US,ST=WA,O=x,CN="],
            "overlapping x509 trustedIdentities",
        ),
    ] {
        let error = parse(identities).unwrap_err().to_string();
        assert!(error.contains(reason), "{identities:?}: {error}");
    }
    let two = ["x509.subject:C=US,ST=WA,O=x", "x509.subject:C=US,ST=WA,O=y"];
    assert_eq!(parse(&two).unwrap().texts(), two);
}

/// With plugins others may be listed; they match no certificate.
#[test]
fn n25_identities_for_plugins() {
    let parse =
        |identities: &[&str]| TrustedIdentities::parse(identities, IdentityKinds::ForPlugins);
    let mixed = ["foo:bar", "x509.subject:C=US,ST=WA,O=x", "foo:"];
    let identities = parse(&mixed).unwrap();
    assert_eq!(identities.texts(), [mixed[1], mixed[0], mixed[2]]);
    let leaf = DistinguishedName::parse("C=US,ST=WA,O=x").unwrap();
    assert_eq!(identities.matching(&leaf).unwrap().text, mixed[1]);
    assert_eq!(parse(&["foo:C=US,ST=WA,O=x"]).unwrap().matching(&leaf), None);
    for refused in ["", "foo", "X509.Subject:C=US,ST=WA,O=x", "x509.subject:"] {
        assert!(parse(&[refused]).is_err(), "{refused}");
    }
}
