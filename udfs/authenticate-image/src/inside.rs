//! Files that really lie in an allowed folder, whatever links lead to them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Without it, opening a pipe that nobody writes to would wait for ever.
#[cfg(target_os = "linux")]
const O_NONBLOCK: i32 = 0o4000;
#[cfg(not(target_os = "linux"))]
const O_NONBLOCK: i32 = 0x4;

/// Of the kernel, not of people; out even where `/` is allowed.
const SYSTEM: [&str; 3] = ["/proc", "/dev", "/sys"];

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Something in an allowed folder, by its real path.
    Inside(PathBuf),
    /// Nothing, and what is missing is missing in an allowed folder.
    Absent,
    /// Out of the allowed folders; whether something is there is not told.
    Outside,
}

/// Follows the links of `path`. `folders` are absolute; their own links are followed each time.
pub(crate) fn find(folders: &[PathBuf], path: &Path) -> Found {
    let real: Vec<PathBuf> = folders.iter().filter_map(|folder| fs::canonicalize(folder).ok()).collect();
    let inside = |path: &Path| {
        !SYSTEM.iter().any(|system| path.starts_with(system))
            && real.iter().any(|folder| path.starts_with(folder))
    };
    if let Ok(path) = fs::canonicalize(path) {
        return if inside(&path) { Found::Inside(path) } else { Found::Outside };
    }
    // Told by the nearest thing that exists: a link that leads out, dangling or not, must look the same in all cases.
    let nearest = path.ancestors().find(|path| fs::symlink_metadata(path).is_ok());
    match nearest.and_then(|path| fs::canonicalize(path).ok()) {
        Some(path) if inside(&path) => Found::Absent,
        _ => Found::Outside,
    }
}

/// Opens a regular file in an allowed folder. What is checked is what was opened: a path that is swapped for a link in
/// between is refused.
pub(crate) fn open(folders: &[PathBuf], path: &Path) -> Result<File, Found> {
    let Found::Inside(real) = find(folders, path).or_err()? else { return Err(Found::Outside) };
    // Before it is opened: opening a device can do things.
    if !fs::metadata(&real).is_ok_and(|metadata| metadata.is_file()) {
        return Err(Found::Absent);
    }
    let file =
        OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&real).map_err(|_| Found::Absent)?;
    let Found::Inside(now) = find(folders, &real).or_err()? else { return Err(Found::Outside) };
    if same(&file, &now).unwrap_or(false) { Ok(file) } else { Err(Found::Outside) }
}

impl Found {
    fn or_err(self) -> Result<Self, Self> {
        if matches!(self, Self::Inside(_)) { Ok(self) } else { Err(self) }
    }
}

fn same(file: &File, path: &Path) -> io::Result<bool> {
    let (opened, named) = (file.metadata()?, fs::metadata(path)?);
    Ok(opened.is_file() && opened.dev() == named.dev() && opened.ino() == named.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_and_what_lies_outside_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let (allowed, out) = (dir.path().join("allowed"), dir.path().join("out"));
        fs::create_dir_all(allowed.join("sub")).unwrap();
        fs::create_dir(&out).unwrap();
        fs::write(out.join("secret"), "s").unwrap();
        fs::write(allowed.join("sub/a"), "a").unwrap();
        symlink(&out, allowed.join("way")).unwrap();
        symlink(out.join("secret"), allowed.join("there")).unwrap();
        symlink(out.join("nothing"), allowed.join("dangling")).unwrap();
        symlink("loop", allowed.join("loop")).unwrap();
        symlink("sub/a", allowed.join("within")).unwrap();
        let folders = [allowed.clone()];
        for name in ["way/secret", "way/nothing", "there", "dangling", "loop", "way"] {
            assert_eq!(find(&folders, &allowed.join(name)), Found::Outside, "{name}");
            assert_eq!(open(&folders, &allowed.join(name)).unwrap_err(), Found::Outside, "{name}");
        }
        for name in ["no", "sub/no", "no/no", "sub/a/no"] {
            assert_eq!(find(&folders, &allowed.join(name)), Found::Absent, "{name}");
        }
        assert_eq!(open(&folders, &allowed.join("sub")).unwrap_err(), Found::Absent, "a folder is no file");
        for name in ["within", "sub/a"] {
            assert!(open(&folders, &allowed.join(name)).is_ok(), "{name}");
        }
        assert_eq!(find(&folders, &dir.path().join("allowed-not/x")), Found::Outside);
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            assert_eq!(open(&[dir.path().to_owned()], &pipe).unwrap_err(), Found::Absent);
        }
        let root = [PathBuf::from("/")];
        for path in ["/proc/self/environ", "/dev/zero", "/sys/kernel", "/proc/self/fd/0", "/dev/stdin"] {
            assert!(open(&root, Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn another_file_of_the_same_name_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "a").unwrap();
        fs::write(&b, "b").unwrap();
        let opened = File::open(&a).unwrap();
        assert!(same(&opened, &a).unwrap());
        fs::rename(&b, &a).unwrap();
        assert!(!same(&opened, &a).unwrap());
    }
}
