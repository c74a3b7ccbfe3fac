//! The cancellation socket: docker closes it when the user interrupts.

use std::env;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::exit::Exit;

const SOCKET: &str = "DOCKER_CLI_PLUGIN_SOCKET";

/// What holds a cancellation off.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancel {
    writing: Arc<Mutex<()>>,
}

impl Cancel {
    /// Until the guard is dropped the process does not end: output is being written.
    pub(super) fn hold_off(&self) -> MutexGuard<'_, ()> {
        lock(&self.writing)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process when docker closes the socket it names. Without a socket, or if it can't be
/// reached, nothing is watched: the protocol says to go on. Temporary files are anonymous, and a
/// program that dialled for us ends with its connection.
pub(super) fn watch() -> Cancel {
    let cancel = Cancel::default();
    let Some(mut socket) = env::var(SOCKET).ok().and_then(|address| connect(&address)) else {
        return cancel;
    };
    let watched = cancel.clone();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while matches!(socket.read(&mut buffer), Ok(1..)) {}
        let _writing = watched.hold_off();
        process::exit(i32::from(Exit::Internal.code()));
    });
    cancel
}

/// A path, or with `@` a name in Linux's abstract namespace.
fn connect(address: &str) -> Option<UnixStream> {
    #[cfg(target_os = "linux")]
    if let Some(name) = address.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt as _;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).ok()?;
        return UnixStream::connect_addr(&address).ok();
    }
    UnixStream::connect(address).ok()
}
