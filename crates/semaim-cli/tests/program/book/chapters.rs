//! The book as a reader sees it: chapters with their blocks, links and words in code.

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A chapter of the book.
#[derive(Debug, Default)]
pub(super) struct Chapter {
    /// Its file below `src`.
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
    /// Words in code within the text, with their lines.
    pub(super) words: Vec<(usize, String)>,
    /// Where links and pictures point to, with their lines.
    pub(super) links: Vec<(usize, String)>,
    /// What its headings are called in links.
    anchors: Vec<String>,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// What stands behind the fence, such as `bash` and `not-run`.
    pub(super) kind: Vec<String>,
    /// The line of its first line of text.
    pub(super) line: usize,
    pub(super) text: String,
}

impl Block {
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|known| known == kind)
    }

    /// The file that it is to be: named in a comment on the first line, as in `# mine.toml`.
    pub(super) fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        let is_file = !name.contains(' ') && name.ends_with(&format!(".{}", self.kind.first()?));
        is_file.then_some(name)
    }
}

/// The book's folder.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book")
}

/// The chapters in the order of the table of contents.
pub(super) fn chapters() -> Vec<Chapter> {
    let listed = Chapter::read("SUMMARY.md").links;
    listed.iter().map(|(_, name)| Chapter::read(name)).collect()
}

/// The names of all chapters that there are, sorted.
pub(super) fn files() -> Vec<String> {
    let entries = fs::read_dir(folder().join("src")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect();
    names.sort();
    names
}

impl Chapter {
    pub(super) fn read(name: &str) -> Self {
        let path = folder().join("src").join(name);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(name, &text)
    }

    pub(super) fn parse(name: &str, text: &str) -> Self {
        let mut chapter = Self {
            name: name.to_string(),
            ..Self::default()
        };
        let mut block: Option<Block> = None;
        let mut heading: Option<String> = None;
        for (event, range) in Parser::new(text).into_offset_iter() {
            let line = 1 + text[..range.start].matches('\n').count();
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(kind))) => {
                    block = Some(Block {
                        kind: kind.split(',').map(str::to_string).collect(),
                        line: line + 1,
                        text: String::new(),
                    });
                }
                Event::End(TagEnd::CodeBlock) => chapter.blocks.extend(block.take()),
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    chapter
                        .anchors
                        .extend(heading.take().map(|text| anchor(&text)));
                }
                Event::Text(text) => {
                    if let Some(block) = &mut block {
                        block.text.push_str(&text);
                    }
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    chapter.words.push((line, code.to_string()));
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    chapter.links.push((line, dest_url.to_string()));
                }
                _ => {}
            }
        }
        chapter
    }

    pub(super) fn has_anchor(&self, anchor: &str) -> bool {
        self.anchors.iter().any(|known| known == anchor)
    }
}

/// What mdBook calls a heading in links.
fn anchor(heading: &str) -> String {
    let letters = heading.chars().filter_map(|letter| match letter {
        letter if letter.is_alphanumeric() || matches!(letter, '_' | '-') => {
            Some(letter.to_ascii_lowercase())
        }
        letter if letter.is_whitespace() => Some('-'),
        _ => None,
    });
    letters.collect()
}
