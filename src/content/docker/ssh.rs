//! `ssh://[user@]host[:port][/socket]`: docker runs ssh, and on the other side the docker CLI
//! connects its stdin and stdout with the engine (docker/cli `cli/connhelper`).

use super::error::EndpointError;

/// The command that dials the engine behind an `ssh://` URL.
pub(super) fn command(url: &str) -> Result<Vec<String>, EndpointError> {
    let bad = |reason| EndpointError::Host { host: url.to_owned(), reason };
    let rest = url.strip_prefix("ssh://").ok_or_else(|| bad("it is no ssh:// URL"))?;
    if rest.contains(['?', '#']) {
        return Err(bad("an ssh:// URL has neither query nor fragment"));
    }
    let (authority, socket) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err(bad("ssh takes no password from its command line"));
    }
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || user == Some("") {
        return Err(bad("no host"));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(bad("the port is no number"));
    }
    let mut words = vec!["ssh", "-o", "ConnectTimeout=30", "-T"];
    words.extend(user.into_iter().flat_map(|user| ["-l", user]));
    words.extend(port.into_iter().flat_map(|port| ["-p", port]));
    words.extend(["--", host, "docker"]);
    let socket_option = format!("--host=unix://{socket}");
    if !socket.trim_matches('/').is_empty() {
        // The words go through a shell on the other side.
        let harmless = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if !socket.chars().all(harmless) {
            return Err(bad("the path of the socket has characters that a shell interprets"));
        }
        words.push(&socket_option);
    }
    words.extend(["system", "dial-stdio"]);
    Ok(words.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_dockers() {
        for (url, words) in [
            ("ssh://host", "-- host docker system dial-stdio"),
            ("ssh://me@host:2222", "-l me -p 2222 -- host docker system dial-stdio"),
            ("ssh://host/", "-- host docker system dial-stdio"),
            ("ssh://me@[::1]:22", "-l me -p 22 -- ::1 docker system dial-stdio"),
            (
                "ssh://host/run/user/1000/docker.sock",
                "-- host docker --host=unix:///run/user/1000/docker.sock system dial-stdio",
            ),
            // After the dashes it is a host, whatever it looks like.
            ("ssh://-oProxyCommand=x", "-- -oProxyCommand=x docker system dial-stdio"),
        ] {
            let expected = format!("ssh -o ConnectTimeout=30 -T {words}");
            assert_eq!(command(url).unwrap().join(" "), expected, "{url}");
        }
        for bad in [
            "ssh://",
            "ssh://@host",
            "ssh://me:secret@host",
            "ssh://host:x",
            "ssh://host?q=1",
            "ssh://host/a b",
            "ssh://host/$(x)",
            "unix:///x",
        ] {
            assert!(command(bad).is_err(), "{bad}");
        }
    }
}
