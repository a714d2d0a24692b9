//! From text to tree.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::merge_key::spread;
use super::{Entry, Node, Scalar, Value};
use crate::diag::{Diagnostic, Diagnostics, FileId, Span};

/// Deeper nesting than any inventory needs; keeps recursion harmless.
const MAX_DEPTH: usize = 40;
/// More values than any inventory needs, aliases counted as often as they are used.
const MAX_NODES: u32 = 50_000;
/// A larger file is not an inventory.
const MAX_BYTES: usize = 1 << 20;

/// Hands out node numbers; one for all files of a load.
#[derive(Debug, Default)]
pub struct Ids(u32);

impl Ids {
    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0.saturating_add(1);
        self.0
    }
}

/// Reads one file. `None` for an empty file or after an error that leaves nothing to go on with.
pub fn parse(file: FileId, text: &str, ids: &mut Ids, diagnostics: &mut Diagnostics) -> Option<Node> {
    if text.len() > MAX_BYTES {
        diagnostics.push(
            Diagnostic::error("inventory.too-large", "this file is too large for an inventory")
                .cause(format!("it has {} bytes, {MAX_BYTES} are allowed", text.len()))
                .at(Span { file, start: 0, end: 0 }, ""),
        );
        return None;
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        offsets: Offsets::new(text),
        file,
        ids,
        diagnostics,
        anchors: BTreeMap::new(),
        nodes: 0,
    };
    match builder.stream() {
        Ok(root) => root,
        Err(Stop(diagnostic)) => {
            diagnostics.push(*diagnostic);
            None
        }
    }
}

/// A problem after which reading cannot go on.
struct Stop(Box<Diagnostic>);

type Step<T> = Result<T, Stop>;

struct Builder<'t, 'c> {
    parser: Parser<'t, StrInput<'t>>,
    offsets: Offsets,
    file: FileId,
    ids: &'c mut Ids,
    diagnostics: &'c mut Diagnostics,
    anchors: BTreeMap<usize, (Node, u32)>,
    nodes: u32,
}

impl<'t> Builder<'t, '_> {
    fn stream(&mut self) -> Step<Option<Node>> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(_) if root.is_some() => {
                    let second = Diagnostic::error("inventory.several-documents", "a second document starts here")
                        .at(span, "only one document per file is read")
                        .hint("remove the line `---`, or move what follows into a file of its own");
                    return Err(Stop(Box::new(second)));
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                first => {
                    let node = self.node(first, span, 0)?;
                    let empty = matches!(&node.value, Value::Scalar(s) if s.plain && s.text.is_empty());
                    root = if empty { None } else { Some(node) };
                }
            }
        }
    }

    fn next(&mut self) -> Step<(Event<'t>, Span)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let start = self.offsets.byte(span.start.index());
                let end = self.offsets.byte(span.end.index()).max(start);
                Ok((event, Span { file: self.file, start, end }))
            }
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span { file: self.file, start: 0, end: 0 })),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Step<Node> {
        self.count(1, span)?;
        if depth > MAX_DEPTH {
            let deep = Diagnostic::error("inventory.too-deep", "this is nested too deeply")
                .at(span, format!("more than {MAX_DEPTH} levels"));
            return Err(Stop(Box::new(deep)));
        }
        let before = self.nodes;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = self.tag(tag.as_deref(), span);
                let plain = style == ScalarStyle::Plain && !forced;
                (self.make(span, Value::Scalar(Scalar { text: text.into_owned(), plain })), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), span);
                (self.list(span, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), span);
                (self.map(span, depth)?, anchor)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    let inside = Diagnostic::error("inventory.syntax", "this alias stands inside its own anchor")
                        .at(span, "would never end");
                    return Err(Stop(Box::new(inside)));
                };
                self.count(size, span)?;
                return Ok(node);
            }
            _ => return Err(Stop(Box::new(Diagnostic::error("inventory.syntax", "a value is missing").at(span, "")))),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn make(&mut self, span: Span, value: Value) -> Node {
        Node { id: self.ids.next(), span, value }
    }

    fn list(&mut self, start: Span, depth: usize) -> Step<Node> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let end = items.last().map_or(start.end, |item: &Node| item.span.end);
                let span = Span { end: span.end.min(end.max(start.end)).max(start.start), ..start };
                return Ok(self.make(span, Value::List(items)));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Step<Node> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                let end = entries.last().map_or(start.end, |entry| entry.value.span.end.max(entry.key.span.end));
                let first = entries.first().map_or(start.start, |entry| entry.key.span.start.min(start.start));
                spread(&mut entries, merged, self.diagnostics);
                return Ok(self.make(Span { file: self.file, start: first, end: end.max(first) }, Value::Map(entries)));
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Value::Scalar(scalar) = &key.value else {
                let no_word = Diagnostic::error("inventory.syntax", "a key must be a word")
                    .at(key.span, "this is a list or a block")
                    .hint("if a template placeholder was meant, fill it in or put it in quotes");
                return Err(Stop(Box::new(no_word)));
            };
            if scalar.plain && scalar.text == "<<" {
                merged.push((key.span, value));
            } else if let Some(earlier) = entries.iter().find(|entry| entry.name() == scalar.text) {
                self.diagnostics.push(
                    Diagnostic::error(
                        "inventory.duplicate-key",
                        format!("the key `{}` stands here twice", scalar.text),
                    )
                    .at(key.span, "again here")
                    .related(earlier.key.span, "first here")
                    .hint("remove one of them, or join what is below them"),
                );
            } else {
                entries.push(Entry { key, value });
            }
        }
    }

    /// Checks a tag and says whether it forces a text.
    fn tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        match tag {
            None => false,
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
            Some(tag) if tag.is_yaml_core_schema() => false,
            Some(tag) => {
                self.diagnostics.push(
                    Diagnostic::error("inventory.tag", format!("the YAML tag `{tag}` means nothing here"))
                        .at(span, "")
                        .hint("write the value alone; a secret is written as `secret:NAME`"),
                );
                false
            }
        }
    }

    fn count(&mut self, more: u32, span: Span) -> Step<()> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let large = Diagnostic::error("inventory.too-large", "this file holds too many values")
            .at(span, format!("by here it is more than {MAX_NODES}, aliases counted as often as they are used"));
        Err(Stop(Box::new(large)))
    }

    fn syntax(&self, error: &ScanError) -> Stop {
        let start = self.offsets.byte(error.marker().index());
        let span = Span { file: self.file, start, end: start };
        let info = error.info();
        let diagnostic = Diagnostic::error("inventory.syntax", "this is not valid YAML").at(span, info);
        let hint = if info.contains("tabs") {
            Some("indent with spaces; YAML allows no tabs there")
        } else if info.contains("unprintable") {
            Some("remove the control character, or write it as an escape in double quotes, such as `\"\\x1b\"`")
        } else if info.contains("quoted scalar") {
            Some("a quote is perhaps never closed; a longer text goes on lines that are indented further")
        } else if info.contains("':' indicator") || info.contains("flow") {
            Some("a bracket or brace above is perhaps never closed; a text with `:` needs quotes there")
        } else if info.contains("unclosed") || info.contains("unexpected end") || info.contains("EOF") {
            Some("a quote or bracket that was opened above is never closed")
        } else if info.contains("mapping values are not allowed") {
            Some("a text with `: ` in it needs quotes; else check the indentation of this line and the one above")
        } else if info.contains("expected <block end>") || info.contains("block") || info.contains("indent") {
            Some("keys of one block start in the same column")
        } else if info.contains("anchor") {
            Some("an alias `*name` needs an anchor `&name` above it; a text that starts with `*` needs quotes")
        } else {
            None
        };
        Stop(Box::new(diagnostic.hint_maybe(hint.map(str::to_owned))))
    }
}

/// From character positions, which the parser counts, to bytes.
struct Offsets {
    /// Byte offset of each character, empty if all characters are one byte long.
    bytes: Vec<u32>,
    len: u32,
}

impl Offsets {
    fn new(text: &str) -> Self {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(offset, _)| u32::try_from(offset).unwrap_or(u32::MAX)).collect()
        };
        Self { bytes, len }
    }

    fn byte(&self, character: usize) -> u32 {
        if self.bytes.is_empty() {
            u32::try_from(character).unwrap_or(u32::MAX).min(self.len)
        } else {
            self.bytes.get(character).copied().unwrap_or(self.len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let node = parse(FileId(0), text, &mut Ids::default(), &mut diagnostics);
        (node, diagnostics)
    }

    fn at<'a>(text: &'a str, node: &Node) -> &'a str {
        &text[node.span.start as usize..node.span.end as usize]
    }

    #[test]
    fn places_survive_wide_characters_and_line_ends() {
        let text = "# größe ≥ 1\r\nä: \"ö\"\r\nlist:\r\n  - eins # ü\r\n  - zwei\r\n";
        let (node, diagnostics) = read(text);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let node = node.unwrap();
        assert_eq!(at(text, &node.entry("ä").unwrap().key), "ä");
        assert_eq!(at(text, &node.entry("ä").unwrap().value), "\"ö\"");
        let Value::List(items) = &node.entry("list").unwrap().value.value else { panic!("a list") };
        assert_eq!(at(text, &items[1]), "zwei");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let text = "\u{feff}name: x\n";
        let (node, diagnostics) = read(text);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        assert_eq!(at(text, &node.unwrap().entry("name").unwrap().value), "x");
    }

    #[test]
    fn duplicate_keys_show_both_places() {
        let (node, diagnostics) = read("a: 1\nb: 2\na: 3\n");
        let diagnostic = diagnostics.iter().next().unwrap();
        assert_eq!(diagnostic.code, "inventory.duplicate-key");
        assert_eq!((diagnostic.primary.as_ref().unwrap().span.start, diagnostic.related[0].span.start), (10, 0));
        assert_eq!(node.unwrap().entry("a").unwrap().value.text(), Some("1"));
    }

    #[test]
    fn merge_keys_fill_in_what_is_not_there() {
        let (node, diagnostics) = read("base: &b {a: 1, c: 3}\nx:\n  <<: *b\n  a: 2\n");
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let node = node.unwrap();
        let x = &node.entry("x").unwrap().value;
        assert_eq!(x.entry("a").unwrap().value.text(), Some("2"));
        assert_eq!(x.entry("c").unwrap().value.text(), Some("3"));
    }

    #[test]
    fn budgets_hold() {
        let deep = "[".repeat(5000);
        assert!(read(&deep).1.has_errors());
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let previous = level - 1;
            let items = vec![format!("*a{previous}"); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        let (_, diagnostics) = read(&bomb);
        assert_eq!(diagnostics.iter().next().unwrap().code, "inventory.too-large");
        assert!(read(&"#".repeat(MAX_BYTES + 1)).1.has_errors());
        assert!(read("a: &a [*a]\n").1.has_errors());
    }

    #[test]
    fn an_empty_text_is_nothing() {
        for text in ["", "\n", "# only a comment\n", "---\n"] {
            let (node, diagnostics) = read(text);
            assert!(node.is_none() && diagnostics.is_empty(), "{text:?} {diagnostics:?}");
        }
    }
}
