//! YAML of strangers: every document as a tree, within limits. The only file that knows saphyr.
//!
//! Its parser gives events, and the tree is made here: an alias is the node it stands for, shared
//! and not copied, so that a file is never larger in memory than it is written ("billion laughs").
//! What walks over a tree counts its steps for the same reason. A key that stands twice in one
//! mapping is refused: readers differ about which one counts (security.md S6).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most nodes of a file.
const MAX_NODES: usize = 1 << 20;

/// A value.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Node {
    /// Nothing, however that is written.
    Null,
    /// Text, a number, a truth value; as it is written.
    Scalar(String),
    /// A list.
    Sequence(Vec<Rc<Self>>),
    /// Pairs in their order; what has no text as its key is left out.
    Mapping(Vec<(String, Rc<Self>)>),
}

impl Node {
    /// The value of a key, also one that is merged in (`<<`).
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.lookup(key, 0)
    }

    fn lookup(&self, key: &str, depth: usize) -> Option<&Self> {
        let Self::Mapping(pairs) = self else { return None };
        let own = pairs.iter().find(|(name, _)| name == key).map(|(_, value)| &**value);
        if own.is_some() || depth > MAX_DEPTH {
            return own;
        }
        match pairs.iter().find(|(name, _)| name == MERGE).map(|(_, value)| &**value)? {
            Self::Sequence(several) => several.iter().find_map(|one| one.lookup(key, depth + 1)),
            one => one.lookup(key, depth + 1),
        }
    }

    /// The pairs of a mapping.
    pub(super) fn pairs(&self) -> &[(String, Rc<Self>)] {
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
    kind: Kind,
}

enum Kind {
    Sequence(Vec<Rc<Node>>),
    Mapping {
        pairs: Vec<(String, Rc<Node>)>,
        seen: HashSet<String>,
        /// The key whose value comes next; `Some(None)` is one that is no text.
        key: Option<Option<String>>,
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
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_null = style == ScalarStyle::Plain
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let node = if is_null { Node::Null } else { Node::Scalar(text.into_owned()) };
                self.add(anchor, Rc::new(node))
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, Kind::Sequence(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let (pairs, seen) = (Vec::new(), HashSet::new());
                self.begin(anchor, Kind::Mapping { pairs, seen, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, kind }) = self.open.pop() else {
                    return Err("an end without a beginning".to_owned());
                };
                let node = match kind {
                    Kind::Sequence(values) => Node::Sequence(values),
                    Kind::Mapping { pairs, .. } => Node::Mapping(pairs),
                };
                self.add(anchor, Rc::new(node))
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err("an alias of something that contains it".to_owned());
                };
                self.add(0, node)
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, kind: Kind) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        self.open.push(Open { anchor, kind });
        Ok(())
    }

    /// Puts a complete value where it belongs.
    fn add(&mut self, anchor: usize, node: Rc<Node>) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("more than {MAX_NODES} values"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.documents.push(node),
            Some(Kind::Sequence(values)) => values.push(node),
            Some(Kind::Mapping { pairs, seen, key }) => match key.take() {
                None => *key = Some(node.text().map(str::to_owned)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_anchors_and_merges() {
        let text = "a: &x {b: 1, c: ~}\nd: {<<: *x, c: 'two'}\ne: {<<: [{f: 3}, *x]}\n---\n- y\n";
        let documents = read(text).unwrap();
        let [first, second] = documents.as_slice() else { panic!("{documents:?}") };
        let at = |path: &[&str]| {
            path.iter().try_fold(&**first, |node, key| node.get(key)).and_then(Node::text)
        };
        assert_eq!(at(&["a", "b"]), Some("1"));
        assert_eq!(at(&["a", "c"]), None);
        assert_eq!(at(&["d", "b"]), Some("1"));
        assert_eq!(at(&["d", "c"]), Some("two"));
        assert_eq!(at(&["e", "f"]), Some("3"));
        assert_eq!(at(&["e", "b"]), Some("1"));
        assert_eq!(**second, Node::Sequence(vec![Rc::new(Node::Scalar("y".to_owned()))]));
    }

    #[test]
    fn refuses_what_readers_take_differently_and_what_is_endless() {
        for (text, problem) in [
            ("a: 1\na: 2\n".to_owned(), "stands twice"),
            ("a: &x [*x]\n".to_owned(), "contains it"),
            ("[".repeat(65), "nested more than"),
            ("a: *none\n".to_owned(), "anchor"),
            ("a: [\n".to_owned(), ""),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
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
