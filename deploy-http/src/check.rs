//! `deploy-http check DIR [--policy FILE]`: every manifest.json and pipeline.json below DIR and the policy, every
//! violation as `file:line:column: message`. It needs no server and no cluster, follows no symbolic link and never looks
//! into `.git`; what it cannot know, such as a step's manifest in another repository, it leaves unchecked and says so.

mod steps;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use deploy_core::authz::Policy;
use deploy_core::manifest::{Manifest, Violation};
use deploy_core::pipeline::definition::Definition;
use deploy_core::work::DocumentKind;

use crate::config::Stop;
use crate::policy_file;
use steps::Roots;

/// Checks everything below `dir` and the policy, each where it is given, and writes what it finds to `out`.
///
/// # Errors
/// 1 with a summary where there is a violation; 2 where `dir` is no folder, or the policy no file, that can be read.
pub fn check(dir: Option<&Path>, policy: Option<&Path>, out: &mut dyn Write) -> Result<(), Stop> {
    let mut seen = Seen::default();
    if let Some(file) = policy {
        let bytes = policy_file::read(file)?;
        let violations = Policy::parse(&bytes).err().unwrap_or_default();
        seen.report(file, &bytes, &violations, out)
            .map_err(|error| unwritable(&error))?;
    }
    if let Some(dir) = dir {
        seen.documents_of(dir, out)?;
    }
    if seen.violations > 0 {
        return Err(Stop {
            code: 1,
            text: seen.summary(),
        });
    }
    writeln!(out, "{}", seen.summary()).map_err(|error| unwritable(&error))
}

fn unwritable(error: &io::Error) -> Stop {
    Stop {
        code: 1,
        text: format!("what was found cannot be printed ({error})"),
    }
}

#[derive(Debug, Default)]
struct Seen {
    files: usize,
    violations: usize,
    skipped: usize,
}

impl Seen {
    fn documents_of(&mut self, dir: &Path, out: &mut dyn Write) -> Result<(), Stop> {
        let cannot = |error: io::Error| {
            Stop::wrong(format!(
                "{} cannot be checked ({error}); give a folder that can be read",
                dir.display()
            ))
        };
        for (kind, file) in documents(dir).map_err(cannot)? {
            let bytes = fs::read(&file).map_err(cannot)?;
            let violations = match kind {
                DocumentKind::Task => Manifest::parse(&bytes).err().unwrap_or_default(),
                DocumentKind::Pipeline => match Definition::parse(&bytes) {
                    Ok(definition) => {
                        let (violations, skipped) = steps::missing(&definition, &Roots::of(dir, &file));
                        self.skipped += skipped;
                        violations
                    }
                    Err(violations) => violations,
                },
            };
            self.report(&file, &bytes, &violations, out)
                .map_err(|error| unwritable(&error))?;
        }
        Ok(())
    }

    /// Counts a file and what is wrong with it, and prints that.
    fn report(
        &mut self,
        file: &Path,
        bytes: &[u8],
        violations: &[Violation],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.files += 1;
        self.violations += violations.len();
        let text = String::from_utf8_lossy(bytes);
        violations
            .iter()
            .try_for_each(|violation| writeln!(out, "{}", policy_file::placed(file, &text, violation)))
    }

    fn summary(&self) -> String {
        let counted = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let mut text = format!(
            "{}, {}",
            counted(self.files, "file"),
            counted(self.violations, "violation")
        );
        if self.skipped > 0 {
            let steps = counted(self.skipped, "step");
            text.push_str(&format!(
                "; {steps} in repositories that are not here left unchecked"
            ));
        }
        text
    }
}

/// Every document below a folder, sorted by path.
fn documents(dir: &Path) -> io::Result<Vec<(DocumentKind, PathBuf)>> {
    let mut documents = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            // The entry's own type: a symbolic link is neither a file nor a folder here.
            let kind = entry.file_type()?;
            if kind.is_dir() && entry.file_name() != ".git" {
                folders.push(entry.path());
            } else if kind.is_file() {
                let name = entry.file_name();
                let kinds = [DocumentKind::Task, DocumentKind::Pipeline];
                let kind = kinds.into_iter().find(|kind| name == kind.file_name());
                documents.extend(kind.map(|kind| (kind, entry.path())));
            }
        }
    }
    documents.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        }
        dir
    }

    #[test]
    fn both_documents_are_found_at_any_depth_but_not_in_git_or_behind_links() {
        let dir = folder(&[
            "b/manifest.json",
            "a/x/pipeline.json",
            "manifest.json",
            "a/other.json",
            ".git/manifest.json",
        ]);
        let elsewhere = folder(&["manifest.json"]);
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink(
            elsewhere.path().join("manifest.json"),
            dir.path().join("a/manifest.json"),
        )
        .unwrap();
        let found: Vec<String> = documents(dir.path())
            .unwrap()
            .iter()
            .map(|(_, file)| file.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(found, ["a/x/pipeline.json", "b/manifest.json", "manifest.json"]);
    }

    #[test]
    fn a_folder_that_is_none_is_wrong_use() {
        let stop = check(Some(Path::new("no/such/folder")), None, &mut Vec::new()).unwrap_err();
        assert_eq!(stop.code, 2);
        assert!(
            stop.text.starts_with("no/such/folder cannot be checked"),
            "{}",
            stop.text
        );
    }

    #[test]
    fn an_empty_folder_has_no_violation() {
        let mut out = Vec::new();
        check(Some(folder(&[]).path()), None, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "0 files, 0 violations\n");
    }

    #[test]
    fn the_summary_counts_and_says_what_was_left_out() {
        let seen = Seen {
            files: 1,
            violations: 2,
            skipped: 1,
        };
        assert_eq!(
            seen.summary(),
            "1 file, 2 violations; 1 step in repositories that are not here left unchecked"
        );
    }
}
