//! What others wrote, for messages.

use std::fmt::{self, Write as _};

/// Text that others wrote, such as a tag or a platform of an index that nobody signed: control
/// characters are escaped, so that it stays in its line and looks like nothing that we say.
#[derive(Clone, Copy, Debug)]
pub struct OneLine<'a>(pub &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if is_hidden(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Whether a character is for terminals to act on: a control character, or one that makes them show
/// text in another order or not at all.
pub fn is_hidden(character: char) -> bool {
    let is_mark = matches!(character, '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}');
    is_mark || character.is_control()
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
            ("v1\u{202e}1v\u{2028}", "v1\\u{202e}1v\\u{2028}"),
            ("\u{1b}[31mred\u{9b}2J\r\t\u{7f}", "\\u{1b}[31mred\\u{9b}2J\\r\\t\\u{7f}"),
        ] {
            assert_eq!(OneLine(text).to_string(), shown);
        }
    }
}
