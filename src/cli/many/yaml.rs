//! YAML of strangers: every document as a tree, within limits. The only file that knows saphyr.
//!
//! Its parser gives events, and the tree is made here: an alias is the node it stands for, shared
//! and not copied, so that a file is never larger in memory than it is written ("billion laughs").
//! What walks over a tree, or looks something up in it, counts its steps for the same reason. How deep
//! a value is counts through aliases: few lines nest as deep as there are lines. A key that stands
//! twice in one mapping is refused: readers differ about which one counts (security.md S6).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Deepest nesting, through aliases too.
const MAX_DEPTH: usize = 64;
/// Most nodes of a file.
const MAX_NODES: usize = 1 << 20;
/// Longest key: what is longer can't be written as a simple key either (YAML 1.2, 7.4.2).
const MAX_KEY_BYTES: usize = 1024;
/// Most steps over a file: aliases and merges may make it larger than it is.
const MAX_STEPS: usize = 1 << 24;

/// How many steps were made over a file.
#[derive(Debug, Default)]
pub(super) struct Steps(usize);

impl Steps {
    /// Counts values that are looked at.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn take(&mut self, values: usize) -> Result<(), String> {
        self.0 = self.0.saturating_add(values);
        if self.0 <= MAX_STEPS {
            return Ok(());
        }
        Err(format!("more than {MAX_STEPS} values to look at, counting aliases and merges"))
    }
}

/// A value.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Node {
    /// Nothing, however that is written.
    Null,
    /// Text, a number, a truth value; as it is written.
    Scalar(Rc<str>),
    /// A list.
    Sequence(Vec<Rc<Self>>),
    /// Pairs in their order; what has no text as its key is left out.
    Mapping(Vec<(Rc<str>, Rc<Self>)>),
}

impl Node {
    /// The value of a key, also one that is merged in (`<<`).
    ///
    /// # Errors
    /// There are too many values to look at.
    pub(super) fn get(&self, key: &str, steps: &mut Steps) -> Result<Option<&Self>, String> {
        let Self::Mapping(pairs) = self else {
            steps.take(1)?;
            return Ok(None);
        };
        steps.take(1 + pairs.len())?;
        let value =
            |key: &str| pairs.iter().find(|(name, _)| **name == *key).map(|(_, value)| &**value);
        let merged: &[Rc<Self>] = match (value(key), value(MERGE)) {
            (Some(own), _) => return Ok(Some(own)),
            (None, None) => &[],
            (None, Some(Self::Sequence(several))) => several,
            (None, Some(one)) => return one.get(key, steps),
        };
        for one in merged {
            if let Some(found) = one.get(key, steps)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The pairs of a mapping.
    pub(super) fn pairs(&self) -> &[(Rc<str>, Rc<Self>)] {
        match self {
            Self::Mapping(pairs) => pairs,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

const MERGE: &str = "<<";

/// A collection that has begun.
struct Open {
    anchor: usize,
    /// How deep that is which it holds so far.
    depth: usize,
    kind: Kind,
}

enum Kind {
    Sequence(Vec<Rc<Node>>),
    Mapping {
        pairs: Vec<(Rc<str>, Rc<Node>)>,
        seen: HashSet<Rc<str>>,
        /// The key whose value comes next; `Some(None)` is one that is no text.
        key: Option<Option<Rc<str>>>,
    },
}

/// Reads all documents of a file.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn read(text: &str) -> Result<Vec<Rc<Node>>, String> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        builder.take(event).map_err(|problem| format!("line {}: {problem}", span.start.line()))?;
    }
    Ok(builder.documents)
}

#[derive(Default)]
struct Builder {
    documents: Vec<Rc<Node>>,
    open: Vec<Open>,
    /// What aliases stand for, and how deep it is.
    anchors: HashMap<usize, (Rc<Node>, usize)>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_null = style == ScalarStyle::Plain
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let node = if is_null { Node::Null } else { Node::Scalar(text.into()) };
                self.add(anchor, Rc::new(node), 0)
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, Kind::Sequence(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let (pairs, seen) = (Vec::new(), HashSet::new());
                self.begin(anchor, Kind::Mapping { pairs, seen, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, depth, kind }) = self.open.pop() else {
                    return Err("an end without a beginning".to_owned());
                };
                let node = match kind {
                    Kind::Sequence(values) => Node::Sequence(values),
                    Kind::Mapping { pairs, .. } => Node::Mapping(pairs),
                };
                self.add(anchor, Rc::new(node), depth + 1)
            }
            Event::Alias(anchor) => {
                let Some((node, depth)) = self.anchors.get(&anchor).cloned() else {
                    return Err("an alias of something that contains it".to_owned());
                };
                self.add(0, node, depth)
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, kind: Kind) -> Result<(), String> {
        check_depth(self.open.len() + 1)?;
        self.open.push(Open { anchor, depth: 0, kind });
        Ok(())
    }

    /// Puts a complete value where it belongs.
    fn add(&mut self, anchor: usize, node: Rc<Node>, depth: usize) -> Result<(), String> {
        check_depth(self.open.len() + depth)?;
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("more than {MAX_NODES} values"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (Rc::clone(&node), depth));
        }
        if let Some(open) = self.open.last_mut() {
            open.depth = open.depth.max(depth);
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.documents.push(node),
            Some(Kind::Sequence(values)) => values.push(node),
            Some(Kind::Mapping { pairs, seen, key }) => match key.take() {
                None => *key = Some(read_key(&node)?),
                Some(Some(name)) => {
                    if !seen.insert(name.clone()) {
                        return Err(format!("the key {name:?} stands twice"));
                    }
                    pairs.push((name, node));
                }
                Some(None) => {}
            },
        }
        Ok(())
    }
}

fn check_depth(depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH { Err(format!("nested more than {MAX_DEPTH} deep")) } else { Ok(()) }
}

/// The text of a key; what is no text is none.
fn read_key(node: &Node) -> Result<Option<Rc<str>>, String> {
    match node {
        Node::Scalar(text) if text.len() > MAX_KEY_BYTES => {
            Err(format!("a key of more than {MAX_KEY_BYTES} bytes"))
        }
        Node::Scalar(text) => Ok(Some(Rc::clone(text))),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_anchors_and_merges() {
        let text = "a: &x {b: 1, c: ~}\nd: {<<: *x, c: 'two'}\ne: {<<: [{f: 3}, *x]}\n---\n- y\n";
        let documents = read(text).unwrap();
        let [first, second] = documents.as_slice() else { panic!("{documents:?}") };
        let at = |path: &[&str]| {
            let steps = &mut Steps::default();
            let found = path.iter().try_fold(&**first, |node, key| node.get(key, steps).unwrap());
            found.and_then(Node::text)
        };
        assert_eq!(at(&["a", "b"]), Some("1"));
        assert_eq!(at(&["a", "c"]), None);
        assert_eq!(at(&["d", "b"]), Some("1"));
        assert_eq!(at(&["d", "c"]), Some("two"));
        assert_eq!(at(&["e", "f"]), Some("3"));
        assert_eq!(at(&["e", "b"]), Some("1"));
        assert_eq!(**second, Node::Sequence(vec![Rc::new(Node::Scalar("y".into()))]));
    }

    #[test]
    fn refuses_what_readers_take_differently_and_what_is_endless() {
        for (text, problem) in [
            ("a: 1\na: 2\n".to_owned(), "stands twice"),
            ("a: &x [*x]\n".to_owned(), "contains it"),
            ("[".repeat(65), "nested more than"),
            (format!("? {}\n: 1\n", "k".repeat(1025)), "a key of more than 1024 bytes"),
            ("a: *none\n".to_owned(), "anchor"),
            ("a: [\n".to_owned(), ""),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    /// A list in a list by aliases, as many as wanted, that none nests in writing.
    fn nested(depth: usize) -> String {
        let list = |level: usize| format!("a{level}: &a{level} [*a{}]\n", level - 1);
        std::iter::once("a0: &a0 []\n".to_owned()).chain((1..depth).map(list)).collect()
    }

    /// What recurses over a tree must not meet one that is deeper than it is written.
    #[test]
    fn s11_aliases_nest_only_so_deep() {
        // The mapping around it is the 64th level.
        read(&nested(63)).unwrap();
        for depth in [64, 100_000] {
            assert!(read(&nested(depth)).unwrap_err().contains("nested more than 64 deep"));
        }
    }

    /// Each level merges the one below it twice: to find that a key is nowhere takes a step for each
    /// of 2^30 paths.
    #[test]
    fn s11_lookups_are_counted() {
        let merges = |levels: usize| {
            let merge = |level: usize| {
                let below = level - 1;
                format!("x{level}: &x{level} {{<<: [*x{below}, *x{below}]}}\n")
            };
            let all: String = (1..=levels).map(merge).collect();
            read(&format!("x0: &x0 {{a: 1}}\n{all}")).unwrap()
        };
        let look = |levels: usize, key: &str| {
            let documents = merges(levels);
            let (_, last) = documents[0].pairs().last().unwrap();
            let found = last.get(key, &mut Steps::default());
            found.map(|found| found.and_then(Node::text).map(str::to_owned))
        };
        assert_eq!(look(15, "b"), Ok(None));
        assert_eq!(look(15, "a"), Ok(Some("1".to_owned())));
        assert_eq!(look(30, "a"), Ok(Some("1".to_owned())), "the first path has it");
        assert!(look(30, "b").unwrap_err().contains("counting aliases and merges"));
    }

    /// Ten levels of nine aliases each: small here, whatever a copying reader makes of it.
    #[test]
    fn s11_aliases_are_not_copied() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        text.extend((1..10).map(|level| {
            let alias = format!("*a{}", level - 1);
            format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(", "))
        }));
        assert_eq!(read(&text).unwrap()[0].pairs().len(), 10);
    }
}
