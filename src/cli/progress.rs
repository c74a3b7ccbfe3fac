//! Whether progress is drawn.

use super::context::Context;
use super::progress_bar::ProgressBar;

// Options of commands that may take long.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ProgressArgs {
    /// Draw no progress bars
    #[arg(long)]
    no_progress: bool,
}

impl ProgressArgs {
    /// Progress of work that may take long.
    pub(super) fn bar(&self, context: &Context) -> ProgressBar {
        ProgressBar::new(!self.no_progress && context.printer.may_draw())
    }
}
