//! The pages of the documentation, and the blocks that they show.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What redis-cli shows before a line that is typed.
const PROMPT: &str = "127.0.0.1:6379> ";

/// A page of the documentation.
pub struct Page {
    /// Its path from the project's folder.
    pub path: PathBuf,
    pub text: String,
}

/// A block between fences.
pub struct Block<'a> {
    /// The number of its first fence.
    pub line: usize,
    /// The words after the fence: the language, and what is said of the block besides.
    pub info: Vec<&'a str>,
    pub lines: Vec<&'a str>,
}

/// A line that is typed, and its reply.
pub struct Example<'a> {
    pub line: usize,
    pub typed: &'a str,
    pub reply: Vec<&'a str>,
}

impl Page {
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The lines of the text with whether each stands between fences, or is one.
    pub fn marked_lines(&self) -> impl Iterator<Item = (bool, &str)> {
        let mut fenced = false;
        self.text.lines().map(move |line| {
            let fence = line.starts_with("```");
            let was_fenced = fenced;
            fenced ^= fence;
            (fence || was_fenced, line)
        })
    }

    pub fn all_blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines().zip(1..);
        while let Some((fence, line)) = lines.find(|(line, _)| line.starts_with("```")) {
            let block = lines.by_ref().map(|(line, _)| line);
            blocks.push(Block {
                line,
                info: fence[3..].split_whitespace().collect(),
                lines: block.take_while(|line| !line.starts_with("```")).collect(),
            });
        }
        blocks
    }

    pub fn blocks(&self, language: &'static str) -> impl Iterator<Item = Block<'_>> {
        let blocks = self.all_blocks().into_iter();
        blocks.filter(move |block| block.info.first() == Some(&language))
    }

    /// The line that says how a command is written.
    pub fn syntax(&self) -> &str {
        let block = self.blocks("text").next();
        block.map_or("", |block| block.lines.first().copied().unwrap_or_default())
    }

    /// The targets of its links.
    pub fn links(&self) -> Vec<&str> {
        let prose = self.marked_lines().filter(|(fenced, _)| !fenced);
        prose
            .flat_map(|(_, line)| line.split("](").skip(1))
            .filter_map(|rest| Some(rest.split_once(')')?.0))
            .collect()
    }

    /// What it tells the reader to `make`.
    pub fn make_targets(&self) -> Vec<&str> {
        let typed = self.blocks("sh").flat_map(|block| block.lines);
        let typed: Vec<&str> = typed.map(|line| line.trim_start_matches("sudo ")).collect();
        let prose = self.marked_lines().filter(|(fenced, _)| !fenced);
        let quoted = prose.flat_map(|(_, line)| line.split('`').skip(1).step_by(2));
        typed
            .into_iter()
            .chain(quoted)
            .filter_map(|line| line.strip_prefix("make ")?.split_whitespace().next())
            .collect()
    }
}

impl<'a> Block<'a> {
    pub fn has(&self, word: &str) -> bool {
        self.info.contains(&word)
    }

    pub fn examples(&self, page: &Page) -> Vec<Example<'a>> {
        let mut examples: Vec<Example> = Vec::new();
        for (text, line) in self.lines.iter().zip(self.line + 1..) {
            match (text.strip_prefix(PROMPT), examples.last_mut()) {
                (Some(typed), _) => examples.push(Example {
                    line,
                    typed,
                    reply: Vec::new(),
                }),
                (None, Some(example)) => example.reply.push(text),
                (None, None) => panic!("{}:{line} comes before a prompt", page.name()),
            }
        }
        examples
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn page(path: &str) -> Page {
    let text = fs::read_to_string(root().join(path));
    Page {
        path: path.into(),
        text: text.unwrap_or_else(|error| panic!("{path}: {error}")),
    }
}

/// Every page of the documentation.
pub fn pages() -> Vec<Page> {
    let mut paths: Vec<String> = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "deploy/tls/README.md",
        "examples/README.md",
    ]
    .map(str::to_owned)
    .into();
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in root().join(&folder).read_dir().unwrap() {
            let name = entry.unwrap().file_name();
            let path = format!("{folder}/{}", name.to_str().unwrap());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.ends_with(".md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.iter().map(|path| page(path)).collect()
}

/// The names of a page's headings as GitHub makes links of them.
pub fn headings(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let page = Page {
        path: PathBuf::new(),
        text: text.to_owned(),
    };
    let titles = page
        .marked_lines()
        .filter(|(fenced, line)| !fenced && line.starts_with('#'));
    titles
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let name: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let times = seen.entry(name.clone()).or_default();
            *times += 1;
            match *times {
                1 => name,
                n => format!("{name}-{}", n - 1),
            }
        })
        .collect()
}
