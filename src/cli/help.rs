//! `dockseal help`: topics, which are manual pages of section 7 too, and the help of commands.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use super::context::Context;
use super::exit;
use super::failure::Failure;
use super::output::table;

/// A topic.
pub(super) struct Topic {
    /// What it is called.
    pub(super) name: &'static str,
    /// A line with what it is about, an empty one, and the text.
    text: &'static str,
}

/// All topics.
pub(super) const TOPICS: [Topic; 8] = [
    Topic { name: "sources", text: include_str!("help/sources.txt") },
    Topic { name: "signatures", text: include_str!("help/signatures.txt") },
    Topic { name: "digests", text: include_str!("help/digests.txt") },
    Topic { name: "policy", text: include_str!("help/policy.txt") },
    Topic { name: "files", text: include_str!("help/files.txt") },
    Topic { name: "environment", text: include_str!("help/environment.txt") },
    Topic { name: "json", text: include_str!("help/json.txt") },
    Topic { name: "exit-codes", text: include_str!("help/exit-codes.txt") },
];

/// What `-h` ends with.
pub(super) const TOPICS_HINT: &str = "Topics: dockseal help";

impl Topic {
    /// What it is about.
    fn summary(&self) -> &'static str {
        self.text.split_once('\n').map_or(self.text, |(summary, _)| summary)
    }

    /// What there is to say.
    fn body(&self) -> String {
        let body = self.text.split_once("\n\n").map_or("", |(_, body)| body);
        body.replace("[EXIT CODES]\n", &exit::table())
    }

    /// Its manual page.
    pub(super) fn page(&self) -> String {
        let name = format!("dockseal\\-{}", escaped(self.name));
        let mut page = format!(
            ".TH {name} 7 \"\" \"dockseal {}\"\n.SH NAME\n{name} \\- {}\n.SH DESCRIPTION\n.nf\n",
            env!("CARGO_PKG_VERSION"),
            escaped(self.summary()),
        );
        for line in self.body().lines() {
            // What begins with a dot or a quote is a request.
            let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
            let _ = writeln!(page, "{guard}{}", escaped(line));
        }
        page.push_str(".fi\n.SH SEE ALSO\n\\fBdockseal\\fR(1)\n");
        page
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// What `--help` ends with: topics and exit codes.
pub(super) fn after_help() -> String {
    format!("Topics (dockseal help TOPIC):\n{}\nExit codes:\n{}", topics(), exit::table())
        .trim_end()
        .to_owned()
}

fn topics() -> String {
    let rows = TOPICS.iter().map(|it| vec![format!("  {}", it.name), it.summary().to_owned()]);
    let text = table(&rows.collect::<Vec<_>>());
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

// Arguments of `dockseal help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dockseal help
  dockseal help sources
  dockseal help kit import")]
pub(super) struct HelpArgs {
    /// A topic, or a command and its subcommand
    #[arg(value_name = "TOPIC|COMMAND")]
    words: Vec<String>,
}

impl HelpArgs {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let printer = context.printer;
        if let [name] = self.words.as_slice()
            && let Some(topic) = TOPICS.iter().find(|topic| topic.name == name)
        {
            let text = format!("{}\n\n{}", topic.summary(), topic.body());
            return Ok(printer.data(text.as_bytes())?);
        }
        let mut command = super::Cli::command();
        command.build();
        let mut below = &mut command;
        for (i, word) in self.words.iter().enumerate() {
            let names =
                below.get_subcommands().flat_map(clap::Command::get_name_and_visible_aliases);
            let mut names: Vec<_> = names.map(str::to_owned).collect();
            if i == 0 {
                names.extend(TOPICS.iter().map(|topic| topic.name.to_owned()));
            }
            below = below.find_subcommand_mut(word).ok_or_else(|| unknown(word, &names))?;
        }
        Ok(printer.data(below.render_long_help().to_string().as_bytes())?)
    }
}

fn unknown(word: &str, names: &[String]) -> Failure {
    let failure = Failure::usage(format!("there is no topic or command {word:?}"));
    let near = super::nearest::nearest(word, names);
    failure.with_hint(near.map(|near| format!("dockseal help {near}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_short_and_fit_a_terminal() {
        for topic in &TOPICS {
            let body = topic.body();
            assert!(!topic.summary().is_empty() && topic.text.contains("\n\n"), "{}", topic.name);
            assert!(body.lines().count() < 60, "{}", topic.name);
            assert!(body.lines().all(|line| line.chars().count() <= 100), "{}", topic.name);
            assert!(body.ends_with('\n') && !body.contains("[EXIT"), "{}: {body}", topic.name);
        }
    }

    /// The hint of a command line that is wrong is its help, and every help has an example.
    #[test]
    fn every_command_has_an_example() {
        fn walk(command: &clap::Command, path: &str, lacking: &mut Vec<String>) {
            let help = command.clone().render_long_help().to_string();
            let is_group = command.has_subcommands();
            let (_, examples) = help.split_once("Example").unwrap_or_default();
            let has = examples.lines().any(|line| {
                let called = line.split("| ").last().unwrap_or(line).trim();
                called == path || called.starts_with(&format!("{path} "))
            });
            if !is_group && !has {
                lacking.push(path.to_owned());
            }
            for below in
                command.get_subcommands().filter(|it| it.get_name() != "help" || path == "dockseal")
            {
                walk(below, &format!("{path} {}", below.get_name()), lacking);
            }
        }
        let mut command = crate::cli::Cli::command();
        command.build();
        let mut lacking = Vec::new();
        walk(&command, "dockseal", &mut lacking);
        assert!(lacking.is_empty(), "{lacking:?}");
    }

    /// Examples can be run: clap takes each of them.
    #[test]
    fn examples_are_command_lines() {
        use clap::Parser as _;

        fn walk(command: &clap::Command, check: &dyn Fn(&str)) {
            let help = command.clone().render_long_help().to_string();
            let (_, examples) = help.split_once("Example").unwrap_or_default();
            let joined = examples.replace("\\\n", " ");
            joined.lines().for_each(check);
            command.get_subcommands().for_each(|below| walk(below, check));
        }
        let count = std::cell::Cell::new(0);
        let check = |line: &str| {
            let Some(at) = line.find("dockseal ") else { return };
            let is_start = line[..at].trim().is_empty() || line[..at].ends_with("| ");
            if !is_start || !line.starts_with("  ") {
                return;
            }
            let words = words(&line[at..]);
            if let Err(error) = crate::cli::Cli::try_parse_from(&words) {
                assert!(!error.use_stderr(), "{words:?}: {error}");
            }
            count.set(count.get() + 1);
        };
        let mut command = crate::cli::Cli::command();
        command.build();
        walk(&command, &check);
        TOPICS.iter().for_each(|topic| topic.text.lines().for_each(check));
        assert!(count.get() > 60, "{}", count.get());
    }

    /// The words of a line, as a shell sees them.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for c in line.trim().chars() {
            match c {
                '\'' => is_quoted = !is_quoted,
                '<' | '>' | '|' if !is_quoted => break,
                ' ' if !is_quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn pages_are_escaped() {
        for topic in &TOPICS {
            let page = topic.page();
            let (_, text) = page.split_once(".nf\n").unwrap();
            let (text, _) = text.split_once("\n.fi\n").unwrap();
            assert!(text.lines().all(|line| !line.starts_with(['.', '\''])), "{page}");
        }
    }
}
