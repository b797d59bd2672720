//! README's quick start, word for word.

use std::process::Command;

use crate::project::{Project, repository, text};

/// The commands of README's first `sh` blocks that a reader is told to type, in order.
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let start = readme.find("## Quick start").expect("README has a quick start");
    let section = readme[start..].split("\n## ").next().unwrap();
    let mut out = Vec::new();
    for block in section.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap();
        out.extend(block.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')).map(str::to_owned));
    }
    out
}

#[test]
fn it_works_as_written() {
    let commands = commands();
    assert!(commands.iter().any(|c| c == "cargo run --release"), "{commands:?}");
    assert!(commands.iter().any(|c| c == "scripts/test"), "{commands:?}");
    let project = Project::new();
    let (_served, ready) = project.serve();
    let port = ready.split("pg=127.0.0.1:").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let mut asked = 0;
    for command in commands.iter().filter(|c| c.starts_with("psql ")) {
        if Command::new("psql").arg("--version").output().is_err() {
            eprintln!("skipped: psql is not installed");
            return;
        }
        // The test's server has a free port where README has the usual one.
        let command = command.replace("-p 5433", &format!("-p {port}"));
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("rows)"), "{command}: {}", text(&output.stdout));
        asked += 1;
    }
    assert!(asked > 0, "README shows no psql command");
    let shell = commands.iter().filter(|c| c.starts_with("cargo run --release -- sql"));
    for command in shell {
        let rest = command.trim_start_matches("cargo run --release -- ");
        let line = format!("'{}' {rest}", crate::project::BINARY);
        let output = Command::new("sh").args(["-c", &line]).current_dir(project.dir.path()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
    }
}
