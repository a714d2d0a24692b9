//! Meanings and how they look.

use anstyle::{AnsiColor, Style};

use super::Terminal;

/// What a piece of text means; how it looks is decided here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Something is added, or went well.
    Good,
    /// Something is changed.
    Change,
    /// Something is interrupted, or differs from what was applied.
    Caution,
    /// Something is removed, or went wrong.
    Bad,
    /// A heading or a number that matters.
    Strong,
    /// Said for completeness.
    Faint,
    /// Advice.
    Hint,
}

impl Role {
    const fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Change => AnsiColor::Yellow.on_default(),
            Self::Caution => AnsiColor::Magenta.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Hint => AnsiColor::Cyan.on_default(),
        }
    }
}

impl Terminal {
    /// The text in the look of its meaning, or as it is where there is no colour.
    #[must_use]
    pub fn paint(&self, role: Role, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let style = role.style();
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_no_escape_is_written() {
        let plain = Terminal::plain();
        assert_eq!(plain.paint(Role::Bad, "gone"), "gone");
        let colour = Terminal { colour: true, ..plain };
        assert_eq!(colour.paint(Role::Bad, "gone"), "\u{1b}[1m\u{1b}[31mgone\u{1b}[0m");
    }
}
