//! The programs of `examples/`: each is run as its reader would run it. Their libraries come from their own package
//! managers, into the target folder.
//!
//! A language that this machine lacks is skipped, or a failure with `LOCK_TEST_EXAMPLES=require`.

mod cache_breakdown;
mod program;
mod sessions;

use crate::support::toolchain::{build, copy, fetch, fetch_once, need, Missing};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn the_readme_shows_the_python_example_as_it_is() {
    let read = |path| fs::read_to_string(root().join(path)).unwrap();
    let (readme, example) = (read("README.md"), read("clients/python/examples/orders.py"));
    let marked = example.split_once("# lock:begin\n").unwrap().1;
    let marked = marked.split_once("# lock:end\n").unwrap().0;
    assert!(marked.lines().count() > 1, "no marked lines");
    let block = format!("```python\n{marked}```\n");
    assert!(readme.contains(&block), "README.md does not show\n{block}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where an example is built and run.
fn folder_of(language: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("examples").join(language)
}

fn prepare_node(folder: &Path) -> Result<(), Missing> {
    copy(&root().join("examples/node"), folder);
    need(folder, "node --version")?;
    need(folder, "npm --version")?;
    let install = "npm ci --engine-strict --ignore-scripts --no-audit --no-fund \
                   --fetch-timeout=30000 --fetch-retries=1";
    fetch_once(folder, "package-lock.json", install)
}

fn prepare_go(folder: &Path) -> Result<(), Missing> {
    copy(&root().join("examples/go"), folder);
    need(folder, "go version")?;
    fetch(folder, "go mod download")?;
    build(folder, "go build -o lock .");
    Ok(())
}
