//! Where images may be read from: folders, web addresses and buckets that the settings allow, and nothing else.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use url::Url;

use crate::files::Glob;
use crate::inside::{self, Found};
use crate::place_error::PlaceError;
use crate::web_place;

/// A place that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A file, by its real path. It is checked again when it is opened.
    File(PathBuf),
    /// The files that a pattern matches.
    Glob(Glob),
    /// An object in an S3 bucket.
    Object {
        /// The bucket.
        bucket: String,
        /// The key within it.
        key: String,
    },
    /// The objects in an S3 bucket whose keys a pattern matches.
    ObjectGlob {
        /// The bucket.
        bucket: String,
        /// The folder before the first wildcard, without a slash at its end; may be empty.
        prefix: String,
        /// What the whole key must match.
        pattern: glob::Pattern,
    },
    /// `http` or `https`.
    Url(Url),
}

/// The places that the settings allow.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    base: PathBuf,
    folders: Vec<PathBuf>,
    urls: Vec<Url>,
    said: String,
}

/// What a path leads to from the base and from each allowed folder.
#[derive(Debug, Default)]
struct Search {
    /// Real paths in allowed folders.
    inside: Vec<PathBuf>,
    /// One of the places is allowed, and nothing is there.
    absent: bool,
    /// By its name one lies in an allowed folder, but links lead elsewhere.
    leads_out: bool,
}

/// Bytes of a path or URL: what Linux takes for a path.
const LONGEST: usize = 4_096;
/// Bytes of one name in a path.
const LONGEST_NAME: usize = 255;
const WILDCARDS: [char; 3] = ['*', '?', '['];

impl Places {
    /// The places in `allow`: folders, taken from `base` where they are relative, and prefixes `http://host/path`,
    /// `https://host/path` and `s3://bucket/path`. With none, nothing is allowed. No folder need exist yet.
    ///
    /// # Errors
    /// [`PlaceError::Setting`] for an entry that is neither, and [`PlaceError::Unreadable`] where the current folder,
    /// from which a relative `base` is taken, can't be found.
    pub(crate) fn new(allow: &[String], base: &Path) -> Result<Self, PlaceError> {
        let base = std::path::absolute(base).map_err(|error| PlaceError::Unreadable {
            folder: base.display().to_string(),
            reason: error.to_string(),
        })?;
        let (mut folders, mut urls) = (Vec::new(), Vec::new());
        for entry in allow {
            let fault = |reason| PlaceError::Setting { entry: entry.clone(), reason };
            if entry.contains("://") {
                urls.push(web_place::parse(entry).map_err(fault)?);
            } else if entry.trim().is_empty() || entry.contains('\0') {
                return Err(fault("expected a folder, or a prefix with http://, https:// or s3://"));
            } else {
                folders.push(base.join(entry));
            }
        }
        let said = if allow.is_empty() { "no place".to_owned() } else { allow.join(", ") };
        Ok(Self { base, folders, urls, said })
    }

    /// The place that a text names, if it is allowed. A relative path is looked for from the base and in each allowed
    /// folder; a text with `*`, `?` or `[` that is no file's name is a glob. Reads folders, so it may wait for a disk.
    ///
    /// # Errors
    /// [`PlaceError::Forbidden`] and [`PlaceError::Malformed`] when it is not allowed, [`PlaceError::NotFound`] when
    /// there is no such file in an allowed folder, [`PlaceError::Pattern`] for a glob with an error in it.
    pub(crate) fn resolve(&self, text: &str) -> Result<Location, PlaceError> {
        if text.is_empty() {
            return Err(self.malformed(text, "expected a path or a URL, found an empty text"));
        }
        if text.len() > LONGEST {
            return Err(self.malformed(text, "expected at most 4096 bytes"));
        }
        if text.contains(char::is_control) {
            return Err(self.malformed(text, "expected no control characters"));
        }
        if scheme(text).is_some() { self.url(text) } else { self.path(text) }
    }

    /// Whether a URL lies under a prefix that is allowed; what each redirect has to pass.
    ///
    /// # Errors
    /// [`PlaceError::Forbidden`] and [`PlaceError::Malformed`] when it is not allowed.
    pub(crate) fn permit(&self, url: &Url) -> Result<(), PlaceError> {
        let shown = web_place::shown(url);
        web_place::check(url).map_err(|reason| self.malformed(&shown, reason))?;
        let allowed = self.urls.iter().any(|prefix| web_place::within(prefix, url));
        if allowed { Ok(()) } else { Err(self.forbidden(&shown)) }
    }

    /// Whether an object, or the folder of some, is allowed: a location need not come from [`Places::resolve`].
    pub(crate) fn permit_object(&self, bucket: &str, key: &str) -> Result<(), PlaceError> {
        let shown = format!("s3://{bucket}/{key}");
        let up = key.split('/').any(|part| matches!(part, "." | ".."));
        let url = Url::parse(&format!("s3://{bucket}")).ok().filter(|_| !up);
        let mut url = url.ok_or_else(|| self.forbidden(&shown))?;
        url.set_path(key);
        self.permit(&url).map_err(|_| self.forbidden(&shown))
    }

    /// Opens a file of a [`Location::File`]. What was opened is checked: a regular file that lies, all links followed,
    /// in an allowed folder. A hard link is a file like any other.
    ///
    /// # Errors
    /// [`PlaceError::Forbidden`] when it leads elsewhere, [`PlaceError::NotFound`] when it is no file, or none that
    /// may be read.
    pub(crate) fn open(&self, path: &Path) -> Result<File, PlaceError> {
        inside::open(&self.folders, path).map_err(|found| match found {
            Found::Absent => PlaceError::NotFound(self.name(path)),
            _ => self.forbidden(&self.name(path)),
        })
    }

    /// What a file is called in results: its path from the base where it lies below, with the folder named as the
    /// settings name it, whatever links that has in it.
    #[must_use]
    pub(crate) fn name(&self, path: &Path) -> String {
        let from_folder = |folder: &PathBuf| {
            let rest = path.strip_prefix(std::fs::canonicalize(folder).ok()?).ok()?;
            Some(folder.join(rest))
        };
        let named = self.folders.iter().find_map(from_folder);
        let path = named.as_deref().unwrap_or(path);
        path.strip_prefix(&self.base).unwrap_or(path).display().to_string()
    }

    /// Whether a text is written as a pattern; in an `http` URL `?` and `*` mean something else.
    #[must_use]
    pub(crate) fn is_glob(text: &str) -> bool {
        text.contains(WILDCARDS) && scheme(text).is_none_or(|scheme| scheme.eq_ignore_ascii_case("s3"))
    }

    fn url(&self, text: &str) -> Result<Location, PlaceError> {
        let malformed = |reason| self.malformed(text, reason);
        if Self::is_glob(text) {
            return self.object_glob(text);
        }
        let url = web_place::parse(text).map_err(malformed)?;
        self.permit(&url)?;
        if url.scheme() != "s3" {
            return Ok(Location::Url(url));
        }
        // A key is taken as it is written: S3 knows no percent-encoding in s3:// names.
        let (bucket, key) = bucket_and_key(text).ok_or_else(|| malformed("expected s3://bucket/key"))?;
        if key.contains('#') || key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(malformed("expected no #, . or .. in the key"));
        }
        if key.is_empty() || key.ends_with('/') {
            return Err(malformed("expected the key of an object after s3://bucket/, not a folder"));
        }
        Ok(Location::Object { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    fn object_glob(&self, text: &str) -> Result<Location, PlaceError> {
        let malformed = |reason| self.malformed(text, reason);
        let (bucket, key) = bucket_and_key(text).ok_or_else(|| malformed("expected s3://bucket/pattern"))?;
        let literal = key.find(WILDCARDS).map_or(key, |at| &key[..at]);
        let prefix = literal.rsplit_once('/').map_or("", |(prefix, _)| prefix);
        let folder = web_place::parse(&format!("s3://{bucket}/{prefix}")).map_err(malformed)?;
        self.permit(&folder).map_err(|_| self.forbidden(text))?;
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(malformed("expected no . or .. in the pattern"));
        }
        let pattern = glob::Pattern::new(key)
            .map_err(|error| PlaceError::Pattern { pattern: text.to_owned(), reason: error.msg })?;
        Ok(Location::ObjectGlob { bucket: bucket.to_owned(), prefix: prefix.to_owned(), pattern })
    }

    fn path(&self, text: &str) -> Result<Location, PlaceError> {
        let malformed = |reason| self.malformed(text, reason);
        if text.contains('\\') {
            return Err(malformed("expected / between folders, found a backslash"));
        }
        let path = Path::new(text);
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(malformed("expected no .. in the path"));
        }
        if path.iter().any(|name| name.len() > LONGEST_NAME) {
            return Err(malformed("expected names of at most 255 bytes in the path"));
        }
        let search = self.search(path);
        if let Some(file) = search.inside.iter().find(|real| real.is_file()) {
            return Ok(Location::File(file.clone()));
        }
        if Self::is_glob(text) { self.glob(text, path) } else { Err(self.nothing(text, &search)) }
    }

    fn glob(&self, text: &str, path: &Path) -> Result<Location, PlaceError> {
        let is_wild =
            |part: &Component<'_>| part.as_os_str().to_str().is_none_or(|part| part.contains(WILDCARDS));
        let literal: PathBuf = path.components().take_while(|part| !is_wild(part)).collect();
        let parts: PathBuf = path.components().skip_while(|part| !is_wild(part)).collect();
        let search = self.search(&literal);
        let roots: Vec<_> = search.inside.iter().filter(|real| real.is_dir()).cloned().collect();
        let found = !roots.is_empty() || search.absent && !search.leads_out;
        let glob = Glob::new(text, roots, &parts, &self.folders)?;
        if found { Ok(Location::Glob(glob)) } else { Err(self.nothing(text, &search)) }
    }

    /// Looks for a path from the base and from each folder. An absolute path joined to a folder is that path.
    fn search(&self, path: &Path) -> Search {
        let mut search = Search::default();
        for base in std::iter::once(&self.base).chain(&self.folders) {
            let path = base.join(path);
            match inside::find(&self.folders, &path) {
                Found::Inside(real) if search.inside.contains(&real) => {}
                Found::Inside(real) => search.inside.push(real),
                Found::Absent => search.absent = true,
                Found::Outside => {
                    let by_name =
                        self.folders.iter().any(|folder| path.starts_with(folder) && folder.exists());
                    search.leads_out |= by_name;
                }
            }
        }
        search
    }

    /// What to say where no file is.
    fn nothing(&self, text: &str, search: &Search) -> PlaceError {
        let absent = search.absent || !search.inside.is_empty();
        if absent && !search.leads_out { PlaceError::NotFound(plain(text)) } else { self.forbidden(text) }
    }

    fn forbidden(&self, asked: &str) -> PlaceError {
        PlaceError::Forbidden { asked: plain(asked), allowed: self.said.clone() }
    }

    fn malformed(&self, asked: &str, reason: &'static str) -> PlaceError {
        PlaceError::Malformed { asked: plain(asked), reason, allowed: self.said.clone() }
    }
}

/// The scheme of a text that is a URL. A colon alone is not enough: it may stand in a file's name.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let known =
        ["http", "https", "s3", "file", "ftp", "data"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (named && (known || rest.starts_with("//"))).then_some(scheme)
}

fn bucket_and_key(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("://")?;
    rest.split_once('/').filter(|(bucket, _)| !bucket.is_empty())
}

/// What was asked for, fit for a message: short, on one line, and without a password.
fn plain(asked: &str) -> String {
    let asked = match scheme(asked) {
        Some(_) => asked.split(['?', '#']).next().unwrap_or_default(),
        None => asked,
    };
    let mut short: String = asked.chars().filter(|c| !c.is_control()).take(200).collect();
    if let Some((scheme, rest)) = short.split_once("://")
        && let Some((_, rest)) = rest.rsplit_once('@')
    {
        short = format!("{scheme}://…@{rest}");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn places(base: &Path, allow: &[&str]) -> Places {
        let allow: Vec<_> = allow.iter().map(|entry| (*entry).to_owned()).collect();
        Places::new(&allow, base).unwrap()
    }

    fn project() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("listings/sub")).unwrap();
        fs::create_dir(dir.path().join("other")).unwrap();
        for name in
            ["listings/a.jpg", "listings/sub/b.jpg", "listings/c[1].jpg", "other/secret.jpg", "secret.jpg"]
        {
            fs::write(dir.path().join(name), name).unwrap();
        }
        symlink("../secret.jpg", dir.path().join("listings/link.jpg")).unwrap();
        symlink("../other", dir.path().join("listings/way")).unwrap();
        dir
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        let dir = project();
        let places = places(dir.path(), &["listings", "https://img.example.com/shoes", "s3://bucket/photos"]);
        let absolute = |name: &str| dir.path().join(name).display().to_string();
        let texts = [
            "",
            "\0",
            "listings/a.jpg\0",
            "../secret.jpg",
            "listings/../secret.jpg",
            "listings/link.jpg",
            "listings/way/secret.jpg",
            "listings/way/*.jpg",
            "/etc/passwd",
            "/proc/self/environ",
            "/dev/zero",
            "/dev/stdin",
            "/*",
            "/etc/*",
            "listings\\a.jpg",
            "file:///etc/passwd",
            "FILE:/etc/passwd",
            "file://localhost/etc/passwd",
            "data:image/png;base64,AA",
            "ftp://img.example.com/shoes/a",
            "http://img.example.com/shoes/a.jpg",
            "https://img.example.com/a.jpg",
            "https://img.example.com/shoes2/a.jpg",
            "https://img.example.com:8443/shoes/a",
            "https://img.example.com.evil.net/shoes/a",
            "https://img.example.com@evil.net/shoes/a",
            "https://me:pw@img.example.com/shoes/a",
            "https://img.example.com/shoes/../a",
            "https://img.example.com/shoes/%2e%2e/a",
            "https://img.example.com/shoes\\..\\a",
            "http://169.254.169.254/",
            "http://2130706433/",
            "http://[::ffff:10.0.0.1]/",
            "s3://bucket/other/a.jpg",
            "s3://other/photos/a.jpg",
            "s3://bucket/ph*/a.jpg",
            "s3://bucket/photos/../other/a.jpg",
            "s3://bucket/*",
            "s3://bucket/photos/",
            "s3://bucket/photos/x#/../../other/a",
            &"a".repeat(5_000),
            &"a".repeat(300),
            &absolute("secret.jpg"),
            &absolute("absent.jpg"),
        ];
        assert!(texts.len() >= 20);
        for text in texts {
            match places.resolve(text) {
                Err(error) => assert_eq!(error.status(), "forbidden", "{text}: {error}"),
                Ok(found) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn absent_and_forbidden_are_told_alike() {
        let dir = project();
        let places = places(dir.path(), &["listings", "s3://b"]);
        let said = |name: &str| places.resolve(name).unwrap_err().to_string().replace("absent", "secret");
        assert_eq!(said("secret.jpg"), said("absent.jpg"));
        assert_eq!(said("listings/way/secret.jpg"), said("listings/way/absent.jpg"));
        assert_eq!(said("other/secret.jpg"), said("other/absent.jpg"));
        let absolute = |name| said(&dir.path().join(name).display().to_string());
        assert_eq!(absolute("secret.jpg"), absolute("absent.jpg"));
        assert_eq!(
            said("/etc/secret"),
            "'/etc/secret' is not in a place that images may be read from; images.allow names listings, s3://b"
        );
        let link = places.resolve("https://me:pw@h/a?sig=1").unwrap_err().to_string();
        assert!(link.starts_with("'https://…@h/a' is refused: expected no user name"), "{link}");
    }

    #[test]
    fn what_is_allowed_is_found() {
        let dir = project();
        let places = places(dir.path(), &["listings", "https://img.example.com/shoes", "s3://bucket/photos"]);
        let absolute = dir.path().join("listings/a.jpg").display().to_string();
        for text in ["listings/a.jpg", "a.jpg", "./sub/b.jpg", "listings/c[1].jpg", &absolute] {
            let Ok(Location::File(path)) = places.resolve(text) else { panic!("{text}") };
            assert!(places.open(&path).is_ok(), "{text}");
            assert!(places.name(&path).starts_with("listings/"), "{text}");
        }
        for text in ["listings/no.jpg", "no.jpg", "sub", "listings"] {
            assert_eq!(places.resolve(text), Err(PlaceError::NotFound(text.to_owned())));
        }
        for (text, count) in [("*.jpg", 2), ("listings/**/*.jpg", 3), ("sub/*", 1), ("listings/no/*", 1)] {
            let Ok(Location::Glob(glob)) = places.resolve(text) else { panic!("{text}") };
            assert_eq!(glob.files().count(), count, "{text}");
        }
        let key = "photos/ü a.jpg".to_owned();
        let object = Location::Object { bucket: "bucket".to_owned(), key: key.clone() };
        assert_eq!(places.resolve(&format!("s3://bucket/{key}")), Ok(object));
        let Ok(Location::ObjectGlob { prefix, pattern, .. }) =
            places.resolve("s3://bucket/photos/2024/a*.jpg")
        else {
            panic!("no glob")
        };
        assert_eq!((prefix.as_str(), pattern.as_str()), ("photos/2024", "photos/2024/a*.jpg"));
        assert!(matches!(
            places.resolve("https://IMG.example.com:443/shoes/a.jpg?w=3"),
            Ok(Location::Url(_))
        ));
    }

    #[test]
    fn without_places_nothing_is_read() {
        let dir = project();
        for text in ["secret.jpg", "listings/a.jpg", "*", "/", "https://h/a"] {
            let error = places(dir.path(), &[]).resolve(text).unwrap_err();
            assert!(error.to_string().ends_with("images.allow names no place"), "{error}");
        }
    }

    #[test]
    fn a_folder_may_be_a_link() {
        let dir = project();
        symlink("other", dir.path().join("alias")).unwrap();
        let places = places(dir.path(), &["alias"]);
        let Ok(Location::File(path)) = places.resolve("alias/secret.jpg") else { panic!("no file") };
        assert_eq!(places.name(&path), "alias/secret.jpg");
        assert!(places.open(&path).is_ok());
        let Ok(Location::Glob(glob)) = places.resolve("alias/*") else { panic!("no glob") };
        let names: Vec<_> = glob.files().map(|file| places.name(&file.unwrap())).collect();
        assert_eq!(names, ["alias/secret.jpg"]);
    }

    #[test]
    fn objects_are_checked_again() {
        let places = places(Path::new("/"), &["s3://b/photos"]);
        for key in ["photos/a.jpg", "photos/a?[1]#.jpg", "photos/ü x.jpg", "photos"] {
            assert!(places.permit_object("b", key).is_ok(), "{key}");
        }
        for (bucket, key) in [
            ("b", "other/a"),
            ("b", "photos/../a"),
            ("c", "photos/a"),
            ("b", "photos2/a"),
            ("b", ""),
            ("b/photos", "a"),
        ] {
            assert!(places.permit_object(bucket, key).is_err(), "{bucket} {key}");
        }
    }

    #[test]
    fn settings_are_checked() {
        for entry in ["", "ftp://h", "http://", "https://me:pw@h/", "http://0x7f.1/", "file:///tmp"] {
            let error = Places::new(&[entry.to_owned()], Path::new("/")).unwrap_err();
            assert!(matches!(error, PlaceError::Setting { .. }), "{entry}");
        }
    }
}
