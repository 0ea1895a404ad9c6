//! Containers see their code under `/code/`; a process of this machine sees it elsewhere. This maps what a manifest says
//! to what is here: arguments under `/code/`, and interpreters that this machine keeps in another place. Pure but for the
//! question whether a program exists, which is handed in.

use std::path::Path;

/// Whether a file is there, by its absolute path.
pub(super) type Exists<'a> = &'a dyn Fn(&Path) -> bool;

/// The argument with every path under `/code/` moved to `code`; `None` where it names none. A path begins at the
/// argument's start or after something that cannot be part of one, as in `--config=/code/a.ini` or `sh -c "cat /code/a"`.
pub(super) fn map_argument(argument: &str, code: &str) -> Option<String> {
    const PREFIX: &str = "/code";
    let mut mapped = String::with_capacity(argument.len());
    let mut rest = argument;
    let mut before = None;
    let mut found = false;
    while let Some(at) = rest.find(PREFIX) {
        let (head, tail) = rest.split_at(at);
        let before_path = head.chars().next_back().or(before);
        let after_path = tail[PREFIX.len()..].chars().next();
        // `/code` alone is the folder only where it is the whole of a word.
        let ends = after_path.is_none_or(|c| c == '/' || is_boundary(c));
        mapped.push_str(head);
        if before_path.is_none_or(is_boundary) && ends {
            mapped.push_str(code);
            found = true;
        } else {
            mapped.push_str(PREFIX);
        }
        rest = &tail[PREFIX.len()..];
        before = PREFIX.chars().next_back();
    }
    mapped.push_str(rest);
    found.then_some(mapped)
}

/// What is run in place of `program`: an absolute path that is not here is looked for by its last part, and `python` is
/// `python3` where only that is here. `None` where the program is run as it is written.
pub(super) fn map_program(program: &str, search: &str, exists: Exists<'_>) -> Option<String> {
    let is_path = program.contains('/');
    if is_path && (!program.starts_with('/') || program.starts_with("/code/") || exists(Path::new(program))) {
        return None;
    }
    let name = program.rsplit('/').next().filter(|name| !name.is_empty())?;
    if in_search_path(name, search, exists) {
        return is_path.then(|| name.to_owned());
    }
    (name == "python" && in_search_path("python3", search, exists)).then(|| "python3".to_owned())
}

/// Whether a file is there, by this machine's file system. One that is there and cannot be run is not mapped: to run
/// something else of its name would be a surprise.
pub(super) fn is_there(path: &Path) -> bool {
    path.exists()
}

fn in_search_path(name: &str, search: &str, exists: Exists<'_>) -> bool {
    search
        .split(':')
        .filter(|folder| !folder.is_empty())
        .any(|folder| exists(&Path::new(folder).join(name)))
}

/// What a path can neither hold nor continue from, in an argument or a small script.
const fn is_boundary(c: char) -> bool {
    c.is_ascii_whitespace()
        || matches!(
            c,
            '=' | ':' | ',' | ';' | '\'' | '"' | '`' | '(' | ')' | '[' | ']' | '|' | '&' | '<' | '>' | '@'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_under_code_are_moved_and_nothing_else_is() {
        for (argument, expected) in [
            ("/code/fibo.py", Some("/here/fibo.py")),
            ("/code/", Some("/here/")),
            ("/code", Some("/here")),
            ("--config=/code/a.ini", Some("--config=/here/a.ini")),
            ("/code/lib:/code/more", Some("/here/lib:/here/more")),
            (
                "cd /code && cat '/code/a' >/code/b",
                Some("cd /here && cat '/here/a' >/here/b"),
            ),
            ("/code/code/x", Some("/here/code/x")),
            ("/codes/x", None),
            ("/src/code/x", None),
            ("$HOME/code/x", None),
            ("${X}/code/x", None),
            ("code/x", None),
            ("/code.py", None),
            ("", None),
            ("é/code/x", None),
        ] {
            assert_eq!(
                map_argument(argument, "/here").as_deref(),
                expected,
                "{argument:?}"
            );
        }
    }

    #[test]
    fn programs_that_are_elsewhere_are_found_by_their_name() {
        let here = ["/bin/sh", "/usr/bin/python3", "/opt/tool"];
        let exists = |path: &Path| here.iter().any(|found| Path::new(found) == path);
        for (program, expected) in [
            ("/bin/sh", None),
            ("/usr/local/bin/sh", Some("sh")),
            ("/opt/tool", None),
            ("/opt/venv/bin/python", Some("python3")),
            ("/opt/venv/bin/python3", Some("python3")),
            ("python", Some("python3")),
            ("sh", None),
            ("nowhere", None),
            ("/opt/nowhere", None),
            ("./run.sh", None),
            ("/code/run.sh", None),
            ("/", None),
            ("", None),
        ] {
            let found = map_program(program, "/bin::/usr/bin", &exists);
            assert_eq!(found.as_deref(), expected, "{program:?}");
        }
    }
}
