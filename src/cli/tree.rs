//! Trees drawn with lines, as `list` and `inspect` show them.

use std::fmt::Display;

use crate::image::one_line::OneLine;

/// A line and what hangs below it.
pub(super) struct Tree {
    label: String,
    children: Vec<Self>,
}

impl Tree {
    /// A line with others below it.
    pub(super) fn new(label: impl Display, children: Vec<Self>) -> Self {
        // Whatever others wrote stays in its line.
        Self { label: OneLine(&label.to_string()).to_string(), children }
    }

    /// The line `name: value`.
    pub(super) fn leaf(name: impl Display, value: impl Display) -> Self {
        Self::new(format!("{name}: {value}"), Vec::new())
    }

    /// Hangs another one below it.
    pub(super) fn push(&mut self, child: Self) {
        self.children.push(child);
    }

    /// The whole tree, with a newline at the end.
    pub(super) fn render(&self) -> String {
        let mut text = format!("{}\n", self.label);
        self.render_children("", &mut text);
        text
    }

    fn render_children(&self, prefix: &str, text: &mut String) {
        let last = self.children.len().saturating_sub(1);
        for (index, child) in self.children.iter().enumerate() {
            let (branch, below) =
                if index == last { ("└── ", "    ") } else { ("├── ", "│   ") };
            text.push_str(prefix);
            text.push_str(branch);
            text.push_str(&child.label);
            text.push('\n');
            child.render_children(&format!("{prefix}{below}"), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lead_from_parents_to_children() {
        let tree = Tree::new(
            "a",
            vec![
                Tree::new("b", vec![Tree::leaf("c", 1), Tree::leaf("d", 2)]),
                Tree::new("e", vec![Tree::new("f", vec![])]),
            ],
        );
        assert_eq!(tree.render(), "a\n├── b\n│   ├── c: 1\n│   └── d: 2\n└── e\n    └── f\n");
    }
}
