//! From texts to an [`Inventory`].

use std::collections::BTreeMap;

use super::layers::{overlay, unite};
use super::mask::{mask, uuids};
use super::parse::{Broken, Ids, Node, decode, parse};
use super::templates::{BUILT_IN, TEMPLATE, service_of};
use super::{Document, InventoryFiles, Profile, SourceFile, Template, TemplateText};
use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span, Spanned};

/// The version of the format that this program reads.
const SCHEMA: u32 = 1;

/// One environment as it was written, merged and decoded but not yet held against itself.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// What the files say together.
    pub document: Document,
    /// Profiles by name.
    pub profiles: BTreeMap<String, Spanned<Profile>>,
    /// What is known of services, by their names.
    pub templates: BTreeMap<String, Spanned<Template>>,
    /// What is filled for each service, by its name and the file's.
    pub texts: BTreeMap<String, BTreeMap<String, TemplateText>>,
    /// What was wrong and left out: its absence is no further problem.
    pub broken: Broken,
    /// Whether loading found an error, so that no blueprint may be made of it.
    pub refused: bool,
    /// The start of its first file, for problems that have no better place.
    pub start: Span,
}

/// What loading gives.
#[derive(Debug)]
pub struct Loaded {
    /// The texts, so that places can be shown; secrets in them are masked.
    pub sources: SourceMap,
    /// What could be read; there may be errors beside it. `None` as soon as a whole file is missing in it:
    /// what that file says would be reported as missing everywhere else.
    pub inventory: Option<Inventory>,
    /// Every problem, by place; first those of files that could not be read at all.
    pub diagnostics: Diagnostics,
}

/// Reads an inventory. Every problem of every file is reported at once; nothing is read from disk.
#[must_use]
pub fn load(files: &InventoryFiles) -> Loaded {
    let mut reader = Reader::default();
    let mut layers = Vec::new();
    for layer in &files.layers {
        if layer.files.is_empty() {
            reader
                .diagnostics
                .push(Diagnostic::error("inventory.empty", format!("there is no YAML file in `{}`", layer.path)).hint(
                    "an inventory directory holds `*.yaml` files; `infra schema inventory` says what is in them",
                ));
        }
        let trees: Vec<Node> = layer.files.iter().filter_map(|file| reader.tree(file)).collect();
        layers.extend(unite(trees, &mut reader.diagnostics));
    }
    let profiles: Vec<(String, Node)> = files
        .profiles
        .iter()
        .filter_map(|file| Some((file.path.file_stem()?.to_owned(), reader.tree(file)?)))
        .collect();
    let (templates, texts) = reader.services(&files.templates);
    let Reader { sources, mut diagnostics, unread, .. } = reader;

    let mut broken = Broken::default();
    let profiles = profiles
        .into_iter()
        .filter_map(|(name, tree)| {
            let decoded = decode::<Spanned<Profile>>(&tree, &mut diagnostics);
            broken.extend(decoded.broken);
            if decoded.value.is_none() {
                broken.insert(tree.span, &name);
            }
            decoded.value.map(|profile| (name, profile))
        })
        .collect();
    let templates = templates
        .into_iter()
        .filter_map(|(name, tree)| {
            let decoded = decode::<Spanned<Template>>(&tree, &mut diagnostics);
            broken.extend(decoded.broken);
            if decoded.value.is_none() {
                broken.insert(tree.span, &name);
            }
            decoded.value.map(|template| (name, template))
        })
        .collect();
    let inventory = layers.into_iter().reduce(overlay).and_then(|tree| {
        let decoded = decode::<Document>(&tree, &mut diagnostics);
        broken.extend(decoded.broken);
        let document = decoded.value?;
        if !unread.has_errors() {
            check_schema(&document, &tree, &broken, &mut diagnostics);
        }
        let refused = diagnostics.has_errors();
        Some(Inventory { document, profiles, templates, texts, broken, refused, start: start_of(&tree) })
    });
    let inventory = inventory.filter(|_| !unread.has_errors());
    if inventory.is_none() && !diagnostics.has_errors() && !unread.has_errors() {
        diagnostics.push(
            Diagnostic::error("inventory.empty", "the inventory is empty").hint(
                "start with `schema: 1`, `name: …` and `hosts:`; `infra schema inventory` says what else there is",
            ),
        );
    }
    diagnostics.sort_by_place();
    let mut first = unread;
    first.sort_by_place();
    let diagnostics = first.into_iter().chain(diagnostics).map(without_secrets).collect();
    Loaded { sources, inventory, diagnostics }
}

/// Messages quote what was written, perhaps a token's secret in the wrong place.
fn without_secrets(mut diagnostic: Diagnostic) -> Diagnostic {
    diagnostic.summary = uuids(&diagnostic.summary);
    for text in diagnostic.causes.iter_mut().chain(&mut diagnostic.hints) {
        *text = uuids(text);
    }
    diagnostic
}

fn start_of(tree: &Node) -> Span {
    Span { file: tree.span.file, start: tree.span.start, end: tree.span.start }
}

fn check_schema(document: &Document, tree: &Node, broken: &Broken, diagnostics: &mut Diagnostics) {
    match document.schema {
        Some(schema) if schema.value == SCHEMA => {}
        Some(schema) => diagnostics.push(
            Diagnostic::error("inventory.schema", format!("format {} is not known to this version", schema.value))
                .at(schema.span, "")
                .hint(format!("this version reads `schema: {SCHEMA}`; a newer one may read yours")),
        ),
        None if broken.key(tree.span, "schema") => {}
        None => diagnostics.push(
            Diagnostic::error("inventory.missing", "the inventory does not say which format it has")
                .at(start_of(tree), "")
                .hint(format!("begin it with `schema: {SCHEMA}`")),
        ),
    }
}

#[derive(Default)]
struct Reader {
    sources: SourceMap,
    ids: Ids,
    diagnostics: Diagnostics,
    /// Why whole files could not be read.
    unread: Diagnostics,
}

impl Reader {
    /// Every service: what it says of itself, and the texts that are filled for it. An own `template.yaml` replaces the
    /// whole folder that comes with the program; without one, single files of it can be replaced.
    fn services(
        &mut self,
        own: &[SourceFile],
    ) -> (BTreeMap<String, Node>, BTreeMap<String, BTreeMap<String, TemplateText>>) {
        let mut templates: BTreeMap<String, Node> = BTreeMap::new();
        let mut texts: BTreeMap<String, BTreeMap<String, TemplateText>> = BTreeMap::new();
        let named = own.iter().filter_map(|file| Some((service_of(&file.path)?, file.path.file_name()?, file)));
        let (declared, filled): (Vec<_>, Vec<_>) = named.partition(|(_, file, _)| *file == TEMPLATE);
        for (name, _, file) in &declared {
            if let Some(tree) = self.tree(file) {
                templates.insert((*name).to_owned(), tree);
            }
        }
        for service in BUILT_IN.iter().filter(|service| !declared.iter().any(|(name, ..)| *name == service.name)) {
            let path = |file: &str| format!("templates/{}/{file}", service.name);
            if let Some(tree) = self.tree(&SourceFile::new(path(TEMPLATE), service.template)) {
                templates.insert(service.name.to_owned(), tree);
            }
            let all = texts.entry(service.name.to_owned()).or_default();
            for (file, text) in service.texts {
                let id = self.sources.add(path(file), *text);
                all.insert((*file).to_owned(), TemplateText { file: id, text: (*text).to_owned() });
            }
        }
        for (name, file_name, file) in filled {
            if let Some(text) = self.text(file) {
                texts.entry(name.to_owned()).or_default().insert(file_name.to_owned(), text);
            }
        }
        (templates, texts)
    }

    /// A text that is filled later.
    fn text(&mut self, file: &SourceFile) -> Option<TemplateText> {
        let said = match &file.content {
            Ok(bytes) => String::from_utf8(bytes.clone()).map_err(|_| "it is not UTF-8 text".to_owned()),
            Err(why) => Err(why.clone()),
        };
        match said {
            Ok(text) => Some(TemplateText { file: self.sources.add(&file.path, mask(&text)), text }),
            Err(why) => {
                let problem = format!("`{}` cannot be read", file.path);
                self.unread.push(Diagnostic::error("inventory.unreadable", problem).cause(why));
                None
            }
        }
    }

    fn tree(&mut self, file: &SourceFile) -> Option<Node> {
        let bytes = match &file.content {
            Ok(bytes) => bytes,
            Err(why) => {
                self.unread.push(
                    Diagnostic::error("inventory.unreadable", format!("`{}` cannot be read", file.path))
                        .cause(why)
                        .hint("check what was given with `-i`"),
                );
                return None;
            }
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let id = self.sources.add(&file.path, mask(text));
                let mut problems = Diagnostics::new();
                let tree = parse(id, text, &mut self.ids, &mut problems);
                let lost = tree.is_none() && problems.has_errors();
                if lost { &mut self.unread } else { &mut self.diagnostics }.extend(problems);
                if tree.is_none() && !lost && text.len() == bytes.len() && is_blank(text) {
                    self.diagnostics
                        .push(Diagnostic::warning("inventory.empty-file", "this file is empty").at(place(id, 0), ""));
                }
                tree
            }
            Err(error) => {
                let valid = error.valid_up_to();
                let text = String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
                let id = self.sources.add(&file.path, mask(&text));
                self.unread.push(
                    Diagnostic::error("inventory.encoding", "this file is not UTF-8 text")
                        .at(place(id, valid), "here is the first byte that is no text")
                        .hint("save it as UTF-8; if it is encrypted, decrypt it first"),
                );
                None
            }
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| matches!(line.trim(), "" | "---") || line.trim_start().starts_with('#'))
}

fn place(file: FileId, offset: usize) -> Span {
    let start = u32::try_from(offset).unwrap_or(u32::MAX);
    Span { file, start, end: start }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Layer;

    fn files(layers: &[&[(&str, &str)]]) -> InventoryFiles {
        let layer = |files: &&[(&str, &str)]| Layer {
            path: "inv".into(),
            files: files.iter().map(|(path, text)| SourceFile::new(*path, *text)).collect(),
        };
        InventoryFiles { layers: layers.iter().map(layer).collect(), ..InventoryFiles::default() }
    }

    const BASE: &str = "schema: 1\nname: x\nhosts:\n  a: { address: one, api: { port: 1, token: secret:a } }\n";

    #[test]
    fn a_later_layer_overrides_key_by_key() {
        let over = "hosts:\n  a:\n    api: { port: 2, token: null }\n  b: { address: two }\n";
        let loaded = load(&files(&[&[("a.yaml", BASE)], &[("b.yaml", over)]]));
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let hosts = loaded.inventory.unwrap().document.hosts.unwrap();
        let (_, a) = hosts.iter().next().unwrap();
        let api = a.api.as_ref().unwrap();
        assert_eq!((a.address.as_ref().unwrap().as_str(), api.port.unwrap().value), ("one", 2));
        assert_eq!(loaded.sources.place(api.port.unwrap().span).file, "b.yaml");
        assert!(api.token.is_none());
        assert_eq!(hosts.len(), 2);
    }

    #[test]
    fn within_a_layer_every_entry_is_written_once() {
        let more = "schema: 1\nhosts:\n  b: { address: two }\n  a: { address: three }\n";
        let loaded = load(&files(&[&[("a.yaml", BASE), ("b.yaml", more)]]));
        let codes: Vec<_> = loaded.diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(codes, ["inventory.duplicate-entry"]);
        assert_eq!(loaded.inventory.unwrap().document.hosts.unwrap().len(), 2);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let text = "schema: 1\nname: Not Good\nhosts:\n  a: { address: 1, api: { prot: 5, port: x } }\nguests: 5\n";
        let loaded = load(&files(&[&[("a.yaml", text)]]));
        let codes: Vec<_> = loaded.diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(
            codes,
            ["inventory.value", "inventory.type", "inventory.unknown-key", "inventory.type", "inventory.type"]
        );
        let broken = loaded.inventory.unwrap().broken;
        assert!(broken.name("port") && broken.name("guests") && !broken.name("token"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_first_and_nothing_is_concluded_from_its_absence() {
        let guests = "guests:\n  g: { host: a, vmdi: 5 }\n";
        let loaded = load(&files(&[&[("a-guests.yaml", guests), ("b-hosts.yaml", "hosts: [\n")]]));
        let codes: Vec<_> = loaded.diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(codes, ["inventory.syntax", "inventory.unknown-key"]);
        assert!(loaded.inventory.is_none(), "no rule may look at half an inventory");
    }

    #[test]
    fn keys_that_start_with_x_hold_anchors() {
        let text = "x-api: &api { token: secret:a }\nschema: 1\nname: x\nhosts:\n  a: { api: { <<: *api, port: 1 } }\n";
        let loaded = load(&files(&[&[("a.yaml", text)]]));
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let hosts = loaded.inventory.unwrap().document.hosts.unwrap();
        assert!(hosts.values().next().unwrap().api.as_ref().unwrap().token.is_some());
    }

    #[test]
    fn a_secret_in_clear_text_is_never_shown() {
        let text = BASE.replace("secret:a", "0a1b2c3d-1234-5678-9abc-0123456789ab");
        let loaded = load(&files(&[&[("a.yaml", &text)]]));
        assert!(loaded.diagnostics.has_errors());
        let shown = format!("{:?} {:?} {:?}", loaded.diagnostics, loaded.sources, loaded.inventory);
        assert!(!shown.contains("0a1b2c3d"), "{shown}");
    }
}
