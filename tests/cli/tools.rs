//! Tools of the system that look at dockseal from outside: strace, network namespaces.
//!
//! Where one is missing or not permitted, the tests that need it say so and end. They fail if the
//! variable `DOCKSEAL_TEST_TOOLS`, which scripts/test sets, has its name.

use std::path::Path;
use std::process::Command;

use snapbox::cmd::cargo_bin;

use crate::Host;

/// Whether a command that does nothing runs under the tool.
#[expect(clippy::print_stderr, reason = "a test that ends early has to say so")]
fn works(tool: &[&str]) -> bool {
    let status = Command::new(tool[0]).args(&tool[1..]).arg("true").output();
    if status.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let needed = std::env::var("DOCKSEAL_TEST_TOOLS").unwrap_or_default();
    assert!(!needed.split(' ').any(|it| it == tool[0]), "{} does not work here", tool.join(" "));
    eprintln!("SKIPPED: {} does not work here", tool.join(" "));
    false
}

/// Whether system calls can be traced.
pub(crate) fn can_trace() -> bool {
    works(&["strace", "-f", "-qq", "-o", "/dev/null"])
}

/// Whether a network namespace of its own can be had.
pub(crate) fn can_unshare() -> bool {
    works(&UNSHARE)
}

/// A new network namespace, in which not even the loopback interface is up.
pub(crate) const UNSHARE: [&str; 2] = ["unshare", "-rn"];

impl Host {
    /// A command below a tool, on this host.
    pub(crate) fn below(&self, tool: &[&str], program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]).arg(program).args(arguments).current_dir(self.path(""));
        command.env("NOTATION_CONFIG", "config").env("NOTATION_CACHE", "cache");
        command
    }

    /// Traces dockseal: its exit code, `None` when it was killed, and the lines of the trace.
    pub(crate) fn trace(&self, filter: &[&str], arguments: &[&str]) -> (Option<i32>, Vec<String>) {
        self.trace_program(filter, cargo_bin!("dockseal"), arguments)
    }

    /// Traces any program.
    pub(crate) fn trace_program(
        &self,
        filter: &[&str],
        program: &Path,
        arguments: &[&str],
    ) -> (Option<i32>, Vec<String>) {
        let tool = [&["strace", "-f", "-qq", "-e", "signal=none", "-o", "trace"], filter].concat();
        let output = self.below(&tool, program, arguments).output().unwrap();
        let trace = String::from_utf8_lossy(&self.read("trace")).into_owned();
        (output.status.code(), trace.lines().map(str::to_owned).collect())
    }
}
