//! A document, taken apart: what is run, in order.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use super::{root, words};

#[derive(Debug)]
pub(crate) struct Document {
    /// From the root.
    pub(crate) path: String,
    pub(crate) items: Vec<Item>,
}

/// One block or one preparation.
#[derive(Debug)]
pub(crate) struct Item {
    /// Where it is, for messages.
    place: String,
    /// The heading above it.
    pub(crate) section: String,
    pub(crate) needs: BTreeSet<String>,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Preparation(String),
    File { name: String, content: String },
    Commands(Vec<Command>),
}

#[derive(Debug, Default)]
pub(crate) struct Command {
    /// Number of its first line, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// What it has to say, and the numbers of these lines.
    pub(crate) output: Vec<String>,
    pub(crate) code: i32,
}

impl fmt::Display for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.place)
    }
}

impl Item {
    pub(crate) fn commands(&self) -> &[Command] {
        match &self.kind {
            Kind::Commands(commands) => commands,
            _ => &[],
        }
    }
}

/// What comments say about the next block.
#[derive(Default)]
struct About {
    needs: BTreeSet<String>,
    file: Option<String>,
    part_of: Option<String>,
}

impl Document {
    /// Panics where the text is not as this test wants it.
    pub(crate) fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let mut document = Self { path: path.to_owned(), items: Vec::new() };
        let mut section = String::new();
        let mut about = About::default();
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let place = format!("{path}:{number}");
            let mut push = |about: &mut About, kind| {
                let needs = std::mem::take(about).needs;
                let section = section.clone();
                document.items.push(Item { place: place.clone(), section, needs, kind });
            };
            if let Some(language) = line.strip_prefix("```") {
                let block: Vec<_> = lines.by_ref().take_while(|it| it.0 != "```").collect();
                if let Some(kind) = block_of(&place, language, &block, &about) {
                    push(&mut about, kind);
                }
                about = About::default();
            } else if let Some(rest) = line.strip_prefix("<!-- ") {
                let mut comment = rest.to_owned();
                while !comment.ends_with("-->") {
                    let (line, _) = lines.next().unwrap_or_else(|| panic!("{place}: no -->"));
                    comment.push('\n');
                    comment.push_str(line);
                }
                let comment = comment.strip_suffix("-->").unwrap();
                let (key, value) = comment
                    .split_once(':')
                    .unwrap_or_else(|| panic!("{place}: what is {comment}?"));
                match key {
                    "needs" => about.needs = words(value),
                    "file" => about.file = Some(value.trim().to_owned()),
                    "part of" => about.part_of = Some(value.trim().to_owned()),
                    "test" => push(&mut about, Kind::Preparation(value.to_owned())),
                    _ => panic!("{place}: what is {key}?"),
                }
            } else if let Some(heading) = line.strip_prefix('#') {
                heading.trim_start_matches('#').trim().clone_into(&mut section);
            } else {
                // What looks like a block and would not be tested.
                let is_hidden = line.trim_start().starts_with("```")
                    || ["    ", "\t", "~~~", "<pre"].iter().any(|it| line.starts_with(it));
                assert!(!is_hidden, "{place}: a block that is not tested: {line}");
            }
        }
        document
    }
}

/// What is to be done for a block; nothing for data that no command uses.
fn block_of(place: &str, language: &str, block: &[(&str, usize)], about: &About) -> Option<Kind> {
    let content: String = block.iter().flat_map(|(line, _)| [*line, "\n"]).collect();
    match language {
        "console" => return Some(Kind::Commands(commands(place, block))),
        "json" => drop(serde_json::from_str::<serde_json::Value>(&content).unwrap()),
        "toml" => drop(toml::from_str::<toml::Table>(&content).unwrap()),
        "yaml" => assert!(saphyr_parser::Parser::new_from_str(&content).all(|it| it.is_ok())),
        "text" => assert!(about.file.is_some(), "{place}: text that is no file"),
        _ => panic!("{place}: nothing is known of {language:?}"),
    }
    if let Some(path) = &about.part_of {
        let whole = fs::read_to_string(root().join(path)).unwrap();
        assert!(whole.contains(&content), "{place}: no part of {path}");
    }
    about.file.clone().map(|name| Kind::File { name, content })
}

fn commands(place: &str, block: &[(&str, usize)]) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for &(line, number) in block {
        if let Some(text) = line.strip_prefix("$ ") {
            commands.push(Command { line: number, text: text.to_owned(), ..Command::default() });
            continue;
        }
        let command = commands.last_mut().unwrap_or_else(|| panic!("{place}: no command"));
        if let Some(text) = line.strip_prefix("> ").filter(|_| command.output.is_empty()) {
            command.text.push('\n');
            command.text.push_str(text);
        } else if let Some(code) =
            line.strip_prefix("(exit code ").and_then(|rest| rest.strip_suffix(')'))
        {
            command.code = code.parse().unwrap();
        } else {
            assert_eq!(command.code, 0, "{place}: output after the exit code");
            command.output.push(line.to_owned());
        }
    }
    commands
}
