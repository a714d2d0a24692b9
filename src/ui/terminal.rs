//! What the other end of a stream can show.

/// What `--color` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColourChoice {
    /// Colour on a terminal that knows it, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Colour everywhere
    Always,
    /// No colour anywhere
    Never,
}

/// What the other end of a stream can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Columns; at least 20.
    pub width: usize,
    /// Whether escape sequences for colour may be written.
    pub colour: bool,
    /// Whether characters beyond ASCII arrive.
    pub unicode: bool,
    /// Whether lines can be drawn over: a person watches.
    pub live: bool,
}

impl Terminal {
    /// The narrowest width that views are laid out for.
    pub const NARROWEST: usize = 20;
    /// The width where none is known.
    pub const USUAL: usize = 80;

    /// A plain stream of the usual width that takes UTF-8.
    #[must_use]
    pub const fn plain() -> Self {
        Self { width: Self::USUAL, colour: false, unicode: true, live: false }
    }

    /// The same with another width.
    #[must_use]
    pub fn with_width(mut self, width: usize) -> Self {
        self.width = width.max(Self::NARROWEST);
        self
    }

    /// Reads it off the environment.
    ///
    /// `columns` is what the terminal says of itself, `None` where the stream is no terminal. Colour
    /// follows `--color`, then `NO_COLOR`, `CLICOLOR_FORCE` and `TERM=dumb` (<https://no-color.org>,
    /// <https://bixense.com/clicolors>). `COLUMNS` wins over the terminal, so that output to a file can
    /// be given a width.
    pub fn detect(choice: ColourChoice, columns: Option<usize>, env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        let tty = columns.is_some();
        let colour = match choice {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto if set("NO_COLOR").is_some() => false,
            ColourChoice::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            ColourChoice::Auto => tty && !dumb,
        };
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let width = set("COLUMNS").and_then(|text| text.parse().ok()).or(columns).unwrap_or(Self::USUAL);
        Self {
            width: width.max(Self::NARROWEST),
            colour,
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            live: tty && !dumb,
        }
    }

    /// The first where the stream takes it, else the second.
    #[must_use]
    pub fn choose<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { unicode } else { ascii }
    }

    /// `→` or `->`.
    #[must_use]
    pub fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    /// `…` or `...`.
    #[must_use]
    pub fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// `·` or `|`, between parts of a line.
    #[must_use]
    pub fn dot(&self) -> &'static str {
        if self.unicode { "·" } else { "|" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(choice: ColourChoice, columns: Option<usize>, vars: &[(&str, &str)]) -> Terminal {
        Terminal::detect(choice, columns, |name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colour_needs_a_terminal_that_knows_it() {
        let xterm = ("TERM", "xterm-256color");
        assert!(detect(ColourChoice::Auto, Some(100), &[xterm]).colour);
        assert!(!detect(ColourChoice::Auto, None, &[xterm]).colour);
        assert!(!detect(ColourChoice::Auto, Some(100), &[("TERM", "dumb")]).colour);
        assert!(!detect(ColourChoice::Auto, Some(100), &[]).colour);
    }

    #[test]
    fn the_environment_decides_only_where_the_flag_does_not() {
        let vars = [("TERM", "xterm"), ("NO_COLOR", "1")];
        assert!(!detect(ColourChoice::Auto, Some(100), &vars).colour);
        assert!(detect(ColourChoice::Always, None, &vars).colour);
        assert!(detect(ColourChoice::Auto, None, &[("CLICOLOR_FORCE", "1")]).colour);
        assert!(!detect(ColourChoice::Auto, None, &[("CLICOLOR_FORCE", "0")]).colour);
        assert!(!detect(ColourChoice::Never, Some(80), &[("TERM", "xterm"), ("CLICOLOR_FORCE", "1")]).colour);
        // An empty NO_COLOR counts as not set.
        assert!(detect(ColourChoice::Auto, Some(100), &[("TERM", "xterm"), ("NO_COLOR", "")]).colour);
    }

    #[test]
    fn width_is_columns_then_the_terminal_then_eighty() {
        assert_eq!(detect(ColourChoice::Auto, Some(132), &[("COLUMNS", "40")]).width, 40);
        assert_eq!(detect(ColourChoice::Auto, Some(132), &[]).width, 132);
        assert_eq!(detect(ColourChoice::Auto, None, &[]).width, 80);
        assert_eq!(detect(ColourChoice::Auto, Some(3), &[]).width, 20);
        assert_eq!(detect(ColourChoice::Auto, Some(99), &[("COLUMNS", "wide")]).width, 99);
    }

    #[test]
    fn unicode_follows_the_locale_and_lc_all_wins() {
        assert!(detect(ColourChoice::Auto, None, &[("LANG", "de_DE.UTF-8")]).unicode);
        assert!(!detect(ColourChoice::Auto, None, &[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")]).unicode);
        assert!(detect(ColourChoice::Auto, None, &[("LC_ALL", "C.utf8")]).unicode);
    }

    #[test]
    fn a_dumb_terminal_is_never_drawn_over() {
        assert!(!detect(ColourChoice::Always, Some(80), &[("TERM", "dumb")]).live);
        assert!(detect(ColourChoice::Never, Some(80), &[("TERM", "xterm")]).live);
    }
}
