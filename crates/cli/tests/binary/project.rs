//! A small project in a temporary folder, and the binary run on it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_smartsneaks");

/// The repository, whose models and reference data the project takes.
pub(crate) fn repository() -> PathBuf {
    Path::new("../..").canonicalize().unwrap()
}

/// A project with the demo's models over a little generated data.
pub(crate) struct Project {
    pub(crate) dir: TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["sql", "udfs/sql", "data/reference"] {
            copy(&repository().join(folder), &dir.path().join(folder));
        }
        std::fs::copy(repository().join("smartsneaks.toml"), dir.path().join("smartsneaks.toml")).unwrap();
        std::os::unix::fs::symlink(repository().join("models"), dir.path().join("models")).unwrap();
        let project = Self { dir };
        let out = project.path("data/raw");
        let generated =
            project.command(&["generate", "--orders", "1500", "--days", "120", "--out"]).arg(out).output();
        assert!(generated.unwrap().status.success());
        project
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.dir.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The rows of a query, as CSV without the header.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let output = self.run(&["sql", "-c", sql, "--format", "csv"]);
        assert!(output.status.success(), "{sql}: {}", text(&output.stderr));
        text(&output.stdout).lines().skip(1).collect::<Vec<_>>().join("\n")
    }

    /// A server on free ports, with its ready line.
    pub(crate) fn serve(&self) -> (Served, String) {
        let mut child = self
            .command(&["serve", "--pg", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        (Served(child), ready.trim_end().to_owned())
    }
}

/// A server that ends with the test.
pub(crate) struct Served(pub(crate) Child);

impl Served {
    pub(crate) fn signal(&self, signal: i32) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
