//! Which engine docker means: one row a rule of spec/docker.md §7.4.

#![expect(clippy::disallowed_methods, reason = "configuration of a docker that is not there")]

use std::fs;

use super::*;

/// A configuration directory with the contexts `here` (a socket) and `far` (TCP with TLS).
fn config(current: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let docker = home.path().join(".docker");
    let current = if current.is_empty() {
        String::new()
    } else {
        format!(r#""currentContext":"{current}","#)
    };
    fs::create_dir(&docker).unwrap();
    fs::write(
        docker.join("config.json"),
        format!(r#"{{{current}"auths":{{"a":{{}},"A":{{}}}},"HttpHeaders":{{"X-A":"1","User-Agent":"no"}}}}"#),
    )
    .unwrap();
    for (name, endpoint) in [
        ("here", r#"{"docker":{"Host":"unix:///here.sock","SkipTLSVerify":false}}"#),
        ("far", r#"{"docker":{"Host":"tcp://far:2376","SkipTLSVerify":false}}"#),
        ("loose", r#"{"docker":{"Host":"https://loose","SkipTLSVerify":true}}"#),
        ("kube", r#"{"kubernetes":{}}"#),
    ] {
        let id = Digest::sha256(name.as_bytes());
        let meta = docker.join("contexts/meta").join(id.hex());
        fs::create_dir_all(&meta).unwrap();
        let text = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{endpoint}}}"#);
        fs::write(meta.join("meta.json"), text).unwrap();
    }
    let id = Digest::sha256(b"far");
    let tls = docker.join("contexts/tls").join(id.hex()).join("docker");
    fs::create_dir_all(&tls).unwrap();
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::write(tls.join(name), format!("context's {name}")).unwrap();
        fs::write(docker.join(name), format!("own {name}")).unwrap();
    }
    home
}

fn options(words: &str) -> ClientOptions {
    let mut options = ClientOptions::default();
    for word in words.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap();
        match name {
            "context" => options.context = Some(value.to_owned()),
            "host" => options.hosts.push(value.to_owned()),
            "tls" => options.tls = Some(value == "true"),
            "tlsverify" => options.tls_verify = Some(value == "true"),
            "tlscacert" => options.tls_ca = Some(value.into()),
            _ => panic!("{name}"),
        }
    }
    options
}

fn env(home: &Path, words: &str) -> ClientEnv {
    let mut env = ClientEnv { home: Some(home.to_owned()), ..ClientEnv::default() };
    for word in words.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap();
        match name {
            "DOCKER_HOST" => env.host = Some(value.to_owned()),
            "DOCKER_CONTEXT" => env.context = Some(value.to_owned()),
            "DOCKER_TLS" => env.tls = true,
            "DOCKER_TLS_VERIFY" => env.tls_verify = true,
            "DOCKER_CERT_PATH" => env.cert_path = Some(home.join(value)),
            "DOCKER_API_VERSION" => env.api_version = Some(value.to_owned()),
            "DOCKER_CUSTOM_HEADERS" => env.custom_headers = Some(value.to_owned()),
            _ => panic!("{name}"),
        }
    }
    env
}

#[test]
fn the_engine_that_docker_means() {
    for (current, given, surroundings, name) in [
        ("", "", "", DEFAULT_HOST),
        ("here", "", "", "unix:///here.sock"),
        ("here", "", "DOCKER_CONTEXT=far", "tcp://far:2376"),
        // DOCKER_HOST beats DOCKER_CONTEXT and currentContext.
        ("here", "", "DOCKER_HOST=unix:///env.sock DOCKER_CONTEXT=far", "unix:///env.sock"),
        ("here", "host=unix:///opt.sock", "DOCKER_HOST=unix:///env.sock", "unix:///opt.sock"),
        ("here", "context=far", "DOCKER_HOST=unix:///env.sock", "tcp://far:2376"),
        ("here", "context=default", "DOCKER_HOST=unix:///env.sock", "unix:///env.sock"),
        ("here", "context=default", "", DEFAULT_HOST),
        ("here", "", "DOCKER_CONTEXT=default", DEFAULT_HOST),
        ("here", "host=", "DOCKER_HOST=unix:///env.sock", DEFAULT_HOST),
        ("", "host=far:1", "", "tcp://far:1"),
        ("", "tls=true", "", DEFAULT_TLS_HOST),
        ("", "tlsverify=false", "", DEFAULT_TLS_HOST),
        ("", "", "DOCKER_TLS_VERIFY=1", DEFAULT_TLS_HOST),
    ] {
        let home = config(current);
        let endpoint = Endpoint::resolve(&options(given), &env(home.path(), surroundings));
        let row = format!("{current:?} {given:?} {surroundings:?}");
        assert_eq!(endpoint.unwrap_or_else(|e| panic!("{row}: {e}")).name, name, "{row}");
    }
}

#[test]
fn contradictions_and_what_is_not_there() {
    for (current, given, surroundings, message) in [
        ("", "host=a context=b", "", "conflicting options"),
        ("", "host=a host=b", "", "only one"),
        ("", "context=nowhere", "", "context \"nowhere\" not found"),
        ("nowhere", "", "", "context \"nowhere\" not found"),
        ("", "context=kube", "", "no docker endpoint"),
        ("", "host=tcp://a:x", "", "the port is no number"),
        ("", "host=fd://", "", "not for its clients"),
        ("", "host=ssh://a:b@c", "", "password"),
        ("", "tlsverify=true tlscacert=/nonexistent/ca.pem", "", "/nonexistent/ca.pem"),
        ("", "tls=true", "DOCKER_CERT_PATH=nowhere", "nowhere/ca.pem"),
        ("", "", "DOCKER_API_VERSION=new", "invalid API version"),
        ("", "", "DOCKER_CUSTOM_HEADERS=a", "invalid HTTP header \"a\""),
    ] {
        let home = config(current);
        let error = Endpoint::resolve(&options(given), &env(home.path(), surroundings));
        let error = error.map(|endpoint| endpoint.name).unwrap_err().to_string();
        assert!(error.contains(message), "{given:?} {surroundings:?}: {error}");
    }
    let home = config("");
    for text in [r#"{"currentContext":"a","CurrentContext":"b"}"#, "{", "3"] {
        fs::write(home.path().join(".docker/config.json"), text).unwrap();
        let error = Endpoint::resolve(&ClientOptions::default(), &env(home.path(), ""));
        assert!(matches!(error, Err(EndpointError::Config { .. })), "{text}");
    }
}

#[test]
fn tls_as_docker_reads_it() {
    // Authorities, client certificate, whether the engine is verified.
    for (given, surroundings, expected) in [
        ("host=unix:///x tls=true", "", None),
        ("host=tcp://x", "", None),
        ("host=tcp://x", "DOCKER_TLS=1", Some(("own ca.pem", true, false))),
        ("host=tcp://x tls=true", "", Some(("own ca.pem", true, false))),
        ("host=tcp://x tlsverify=true", "", Some(("own ca.pem", true, true))),
        ("host=tcp://x tlsverify=false", "", Some(("own ca.pem", true, false))),
        ("host=tcp://x tls=false", "DOCKER_TLS_VERIFY=1", Some(("own ca.pem", true, true))),
        (
            "host=tcp://x",
            "DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=certs",
            Some(("certs ca.pem", false, true)),
        ),
        ("host=tcp://x tlsverify=true tlscacert=", "", Some(("", true, true))),
        ("context=far", "", Some(("context's ca.pem", true, true))),
        // A context has its own, whatever the options say.
        ("context=far tls=true", "", Some(("context's ca.pem", true, true))),
        ("context=here", "", None),
        ("context=loose", "", Some(("", false, false))),
    ] {
        let home = config("");
        fs::create_dir(home.path().join("certs")).unwrap();
        fs::write(home.path().join("certs/ca.pem"), "certs ca.pem").unwrap();
        let endpoint = Endpoint::resolve(&options(given), &env(home.path(), surroundings)).unwrap();
        let found = endpoint.tls.map(|tls| {
            let ca = String::from_utf8(tls.ca.unwrap_or_default()).unwrap();
            assert_eq!(tls.cert.is_some(), tls.key.is_some());
            (ca, tls.cert.is_some(), !tls.skip_verify)
        });
        let expected = expected.map(|(ca, cert, verify)| (ca.to_owned(), cert, verify));
        assert_eq!(found, expected, "{given:?} {surroundings:?}");
    }
}

#[test]
fn addresses() {
    let tcp =
        |host: &str, port, path: &str| Address::Tcp { host: host.into(), port, path: path.into() };
    for (host, expected) in [
        ("unix://", Address::Unix("/var/run/docker.sock".into())),
        ("unix://relative.sock", Address::Unix("relative.sock".into())),
        ("tcp://", tcp("localhost", 2375, "")),
        ("tcp://:5", tcp("localhost", 5, "")),
        ("tcp://[::1]:5/prefix/", tcp("::1", 5, "/prefix")),
        ("http://h", tcp("h", 80, "")),
        ("https://h", tcp("h", 443, "")),
        ("npipe:////./pipe/docker_engine", Address::Docker),
    ] {
        assert_eq!(address(host).unwrap().0, expected, "{host}");
    }
}

#[test]
fn headers_of_every_request() {
    let home = config("");
    let of = |surroundings: &str| {
        Endpoint::resolve(&ClientOptions::default(), &env(home.path(), surroundings))
            .unwrap()
            .headers
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(of(""), [pair("X-A", "1")]);
    assert_eq!(
        of(r#"DOCKER_CUSTOM_HEADERS=B=2,"C=3,""4""",D="#),
        [pair("B", "2"), pair("C", "3,\"4\""), pair("D", "")]
    );
    let pinned =
        Endpoint::resolve(&ClientOptions::default(), &env(home.path(), "DOCKER_API_VERSION=1.41"));
    assert_eq!(pinned.unwrap().api_version, Some(ApiVersion(1, 41)));
}
