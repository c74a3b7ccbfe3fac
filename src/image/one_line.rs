//! What others wrote, for messages.

use std::fmt::{self, Write as _};

/// Text that others wrote, such as a tag or a platform of an index that nobody signed: control
/// characters are escaped, so that it stays in its line and looks like nothing that we say.
#[derive(Clone, Copy, Debug)]
pub struct OneLine<'a>(pub &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_line() {
        for (text, shown) in [
            ("linux/arm64", "linux/arm64"),
            ("Grüße, 世界", "Grüße, 世界"),
            ("a\nSuccessfully verified", "a\\nSuccessfully verified"),
            ("\u{1b}[31mred\u{9b}2J\r\t\u{7f}", "\\u{1b}[31mred\\u{9b}2J\\r\\t\\u{7f}"),
        ] {
            assert_eq!(OneLine(text).to_string(), shown);
        }
    }
}
