//! Photos with what they show: a folder and a CSV file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::TrainError;

/// Photos with labels.
#[derive(Debug, Clone, Default)]
pub struct Labelled {
    pub(crate) photos: Vec<LabelledPhoto>,
}

/// One photo with its label.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LabelledPhoto {
    pub(crate) path: PathBuf,
    pub(crate) authentic: bool,
    /// Not learned from: it measures what was learned.
    pub(crate) valid: bool,
    /// What it was made from: photos of one source are held out together.
    pub(crate) source: Option<String>,
}

impl Labelled {
    /// Reads labels (columns `file`, `is_fake`, perhaps `split` and `source`) of the photos in `folder`, which may lie in a
    /// folder named as their split.
    ///
    /// # Errors
    /// With the line, for a column that is missing, a label that is neither 0 nor 1, a name that leaves the folder, and a
    /// file that is not there.
    pub fn read(labels: &Path, folder: &Path) -> Result<Self, TrainError> {
        let fault = |reason: String| TrainError::Labels { file: labels.display().to_string(), reason };
        let text = std::fs::read_to_string(labels).map_err(|error| fault(error.to_string()))?;
        let mut lines = text.lines().map(|line| line.trim_end_matches('\r')).enumerate();
        let header = lines.next().map_or("", |(_, line)| line);
        let names: Vec<&str> = header.split(',').map(str::trim).collect();
        let place = |name: &str| names.iter().position(|found| *found == name);
        let (Some(file), Some(label)) = (place("file"), place("is_fake")) else {
            return Err(fault(format!("expected the columns file and is_fake, found: {header}")));
        };
        let (split, source) = (place("split"), place("source"));
        let mut photos = Vec::new();
        let mut known = BTreeSet::new();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let fault = |reason: String| fault(format!("line {}: {reason}", number + 1));
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let cell = |place: usize| cells.get(place).copied().unwrap_or_default();
            let authentic = match cell(label) {
                "0" | "false" => true,
                "1" | "true" => false,
                other => return Err(fault(format!("is_fake must be 0 or 1, found '{other}'"))),
            };
            let name = cell(file);
            let inside =
                Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if name.is_empty() || !inside {
                return Err(fault(format!("file must name a photo in the folder, found '{name}'")));
            }
            if !known.insert(name.to_owned()) {
                return Err(fault(format!("{name} is labelled twice")));
            }
            let split = split.map_or("train", cell);
            let valid = match split {
                "train" | "" => false,
                "valid" | "test" => true,
                other => return Err(fault(format!("split must be train or valid, found '{other}'"))),
            };
            let path =
                [folder.join(split).join(name), folder.join(name)].into_iter().find(|path| path.is_file());
            let Some(path) = path else {
                return Err(fault(format!("{name} is not in {}", folder.display())));
            };
            let source = source.map(|place| cell(place).to_owned()).filter(|source| !source.is_empty());
            photos.push(LabelledPhoto { path, authentic, valid, source });
        }
        Ok(Self { photos })
    }

    /// How many photos there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.photos.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.photos.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Labelled, TrainError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("valid")).unwrap();
        for file in ["a.jpg", "b.jpg", "valid/c.jpg"] {
            std::fs::write(dir.path().join(file), "x").unwrap();
        }
        let labels = dir.path().join("labels.csv");
        std::fs::write(&labels, text).unwrap();
        Labelled::read(&labels, dir.path())
    }

    #[test]
    fn photos_lie_in_the_folder_or_in_that_of_their_split() {
        let found = read("split,file,is_fake\ntrain,a.jpg,1\ntrain,b.jpg,0\r\nvalid,c.jpg,1\n").unwrap();
        let labels: Vec<_> = found.photos.iter().map(|photo| (photo.authentic, photo.valid)).collect();
        assert_eq!(labels, [(false, false), (true, false), (false, true)]);
        assert!(found.photos[2].path.ends_with("valid/c.jpg"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, wrong) in [
            ("name,is_fake\na.jpg,1\n", "expected the columns file and is_fake, found: name,is_fake"),
            ("file,is_fake\na.jpg,maybe\n", "line 2: is_fake must be 0 or 1, found 'maybe'"),
            ("file,is_fake\n../a.jpg,1\n", "line 2: file must name a photo in the folder, found '../a.jpg'"),
            ("file,is_fake\na.jpg,1\na.jpg,0\n", "line 3: a.jpg is labelled twice"),
            ("file,is_fake\nz.jpg,1\n", "line 2: z.jpg is not in "),
            ("file,is_fake,split\na.jpg,1,exam\n", "line 2: split must be train or valid, found 'exam'"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
