//! Progress on a terminal. The only file that knows indicatif.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressDrawTarget, ProgressStyle};

use crate::progress::Progress;

/// Work that is shorter shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);
const KNOWN: &str = "{msg:16} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const UNKNOWN: &str = "{msg:16} {spinner} {bytes} {bytes_per_sec}";

/// A bar on stderr, if that is a terminal.
#[derive(Clone, Debug)]
pub(super) struct ProgressBar {
    bar: indicatif::ProgressBar,
    begun: Instant,
    hidden: Arc<Mutex<bool>>,
    /// Whether it counts the bytes of one of several works, which have no steps in common.
    is_part: bool,
}

impl ProgressBar {
    /// A bar that is drawn only if `draw`.
    pub(super) fn new(draw: bool) -> Self {
        let bar = indicatif::ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { bar, begun: Instant::now(), hidden: Arc::new(Mutex::new(draw)), is_part: false }
    }

    /// The same bar for one of several works.
    pub(super) fn part(&self) -> Self {
        Self { is_part: true, ..self.clone() }
    }

    /// Names what is going on.
    pub(super) fn say(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Does something while the bar is off the terminal.
    pub(super) fn hidden<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }

    /// Takes the bar off the terminal.
    pub(super) fn clear(&self) {
        if self.is_part {
            return;
        }
        self.bar.finish_and_clear();
    }

    fn show_when_long(&self) {
        if self.begun.elapsed() < PATIENCE {
            return;
        }
        if let Ok(mut hidden) = self.hidden.lock()
            && std::mem::take(&mut *hidden)
        {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Progress for ProgressBar {
    fn start(&self, step: &str, total: Option<u64>) {
        if self.is_part {
            return;
        }
        let name: String = step.rsplit('/').next().unwrap_or(step).chars().take(12).collect();
        self.bar.reset();
        self.bar.set_message(name);
        let template = match total {
            Some(total) => {
                self.bar.set_length(total);
                KNOWN
            }
            None => {
                self.bar.unset_length();
                UNKNOWN
            }
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
    }

    fn advance(&self, bytes: u64) {
        self.show_when_long();
        self.bar.inc(bytes);
    }

    fn finish(&self) {}
}

/// A number of bytes for people: `12.3 MiB`.
pub(super) fn human(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}
