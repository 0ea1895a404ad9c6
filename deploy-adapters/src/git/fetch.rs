//! One look at a remote: what it advertises, which branch of it is meant, and a shallow fetch of that branch alone where
//! its commit is not cached. Blocks; the caller holds the repository's turn.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use deploy_core::names::{Branch, CommitId};
use deploy_core::ports::Resolved;
use git2::{
    AutotagOption, Direction, ErrorCode, FetchOptions, ObjectType, Oid, RemoteCallbacks, RemoteConnection,
    RemoteHead, Repository,
};

use super::GitLimits;
use super::access::{Access, Conversation};
use super::cache::{Generation, Slot};
use super::failure::{Failure, Verdict};

/// References whose names are not UTF-8 and that are passed over; more and the remote is refused.
const MAX_UNREADABLE: usize = 64;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Want {
    /// The newest commit of a branch.
    Branch(Branch),
    /// The default branch's, else HEAD's.
    Default,
    /// A commit that was there before.
    Commit(CommitId),
}

/// A reference as a repository tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) oid: Oid,
    /// Where a symbolic one points.
    pub(super) symbolic: Option<&'a str>,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    /// A branch at its commit.
    Branch {
        branch: Branch,
        oid: Oid,
        absent_default: Option<Branch>,
    },
    /// A commit that no branch points to now.
    Commit(Oid),
}

impl Chosen {
    pub(super) fn resolved(self) -> Option<Resolved> {
        let Self::Branch {
            branch,
            oid,
            absent_default,
        } = self
        else {
            return None;
        };
        Some(Resolved {
            branch,
            commit: oid.to_string().parse().ok()?,
            absent_default,
        })
    }

    const fn oid(&self) -> Oid {
        match self {
            Self::Branch { oid, .. } | Self::Commit(oid) => *oid,
        }
    }
}

/// Which reference is meant. Only whole names below `refs/heads/` count, so a tag never stands for a branch.
pub(super) fn choose<'a>(
    heads: impl Iterator<Item = Head<'a>>,
    want: &Want,
    default: &Branch,
) -> Result<Chosen, Failure> {
    let wanted = match want {
        Want::Branch(branch) => branch,
        Want::Default => default,
        Want::Commit(commit) => return choose_commit(heads, commit),
    };
    let full_name = format!("refs/heads/{wanted}");
    let mut head = None;
    for candidate in heads {
        if candidate.name == full_name {
            return Ok(Chosen::Branch {
                branch: wanted.clone(),
                oid: candidate.oid,
                absent_default: None,
            });
        }
        if candidate.name == "HEAD" {
            head = Some(candidate);
        }
    }
    // A HEAD that points to no branch by name is no branch to deploy from.
    let target = head.filter(|_| *want == Want::Default).and_then(|head| {
        let branch = head.symbolic?.strip_prefix("refs/heads/")?.parse().ok()?;
        Some((branch, head.oid))
    });
    let (branch, oid) = target.ok_or(Failure::BranchNotFound)?;
    Ok(Chosen::Branch {
        branch,
        oid,
        absent_default: Some(default.clone()),
    })
}

fn choose_commit<'a>(
    mut heads: impl Iterator<Item = Head<'a>>,
    commit: &CommitId,
) -> Result<Chosen, Failure> {
    let oid = Oid::from_str(commit.as_str()).map_err(Failure::answer)?;
    let tip = heads.find_map(|head| {
        let branch = head
            .name
            .strip_prefix("refs/heads/")
            .filter(|_| head.oid == oid)?;
        branch.parse().ok()
    });
    Ok(tip.map_or(Chosen::Commit(oid), |branch| Chosen::Branch {
        branch,
        oid,
        absent_default: None,
    }))
}

/// What is to be brought, from where.
#[derive(Debug)]
pub(super) struct Errand<'a> {
    pub(super) url: &'a str,
    pub(super) access: &'a Access,
    pub(super) want: &'a Want,
    pub(super) default: &'a Branch,
    pub(super) limits: &'a GitLimits,
    pub(super) deadline: Instant,
}

/// Looks at the remote and fetches what is wanted unless the cache has it. A broken cache is begun anew, once.
pub(super) fn look(slot: &Slot, errand: &Errand<'_>) -> Result<Resolved, Failure> {
    let mut begun_anew = false;
    loop {
        let generation = slot.begin(errand.limits)?;
        let answer = attempt(slot, &generation, errand);
        if answer.is_err() && generation.is_empty() {
            // Nothing is kept of a repository that gave nothing.
            slot.retire(&generation)?;
        }
        match answer {
            Err(Failure::Corrupt(cause)) if !begun_anew && !generation.is_empty() => {
                slot.drop_broken(&generation, &cause)?;
                begun_anew = true;
            }
            answer => {
                drop(generation);
                slot.sweep()?;
                return answer;
            }
        }
    }
}

fn attempt(slot: &Slot, generation: &Generation, errand: &Errand<'_>) -> Result<Resolved, Failure> {
    let Errand {
        url,
        access,
        want,
        default,
        limits,
        deadline,
    } = *errand;
    let repository = generation.open()?;
    let mut remote = repository.remote_anonymous(url).map_err(Failure::answer)?;
    let verdict = Verdict::default();
    let conversation = access.converse(deadline, &verdict);
    let watch = Watch {
        deadline,
        max_bytes: limits.max_bytes,
        verdict,
        conversation: &conversation,
    };
    let connected = remote.connect_auth(Direction::Fetch, Some(watch.callbacks()), None);
    let mut connection = connected.map_err(|e| watch.failure(&e))?;
    let unreadable = RefCell::new(0);
    let advertised = connection.list().map_err(|e| watch.failure(&e))?;
    let heads = advertised
        .iter()
        .map_while(|head| readable(head, &unreadable))
        .flatten();
    let chosen = choose(heads, want, default)?;
    if !slot.holds(chosen.oid(), generation)? {
        watch.in_time()?;
        download(&mut connection, &repository, &chosen, &watch)?;
        generation.filled();
    }
    let commit = chosen.oid();
    let resolved = chosen.resolved();
    match want {
        // The branch is not asked for: any will do.
        Want::Commit(id) => Ok(resolved.unwrap_or_else(|| Resolved {
            branch: default.clone(),
            commit: id.clone(),
            absent_default: None,
        })),
        Want::Branch(_) | Want::Default => {
            resolved.ok_or_else(|| Failure::answer(format!("{commit} is not a commit's name")))
        }
    }
}

fn download(
    connection: &mut RemoteConnection<'_, '_, '_>,
    repository: &Repository,
    chosen: &Chosen,
    watch: &Watch<'_>,
) -> Result<(), Failure> {
    let (source, kept_as) = match chosen {
        Chosen::Branch { branch, .. } => (format!("refs/heads/{branch}"), branch.to_string()),
        Chosen::Commit(oid) => (oid.to_string(), oid.to_string()),
    };
    // Under a hash: `a` and `a/b`, or `A` and `a`, cannot both be files.
    let kept_as = Oid::hash_object(ObjectType::Blob, kept_as.as_bytes()).map_err(Failure::unavailable)?;
    let kept_as = format!("refs/cache/{kept_as}");
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(watch.callbacks())
        .download_tags(AutotagOption::None)
        .update_fetchhead(false)
        .depth(1);
    let refspec = format!("+{source}:{kept_as}");
    let downloaded = connection.remote().download(&[refspec], Some(&mut options));
    downloaded.map_err(|e| match e.code() {
        // It was not asked for what it does not have; it does not give single commits.
        ErrorCode::GenericError if matches!(chosen, Chosen::Commit(_)) => match watch.failure(&e) {
            Failure::Corrupt(_) => Failure::CommitAbsent,
            failure => failure,
        },
        _ => watch.failure(&e),
    })?;
    let commit = repository.find_commit(chosen.oid());
    let complete = commit.and_then(|commit| commit.tree().map(|_| ()));
    complete.map_err(|e| Failure::answer(format!("the commit it promised did not come: {}", e.message())))?;
    // A root for the next fetch to build on, so that it brings the difference alone.
    let kept = repository.reference(&kept_as, chosen.oid(), true, "fetch");
    kept.map(|_| ()).map_err(Failure::corrupt)
}

/// A head with its name, `Some(None)` where it has none that can be read, `None` to stop. The binding panics on a name
/// that is not UTF-8, and old repositories have branches in Latin-1.
fn readable<'a>(head: &'a RemoteHead<'_>, unreadable: &RefCell<usize>) -> Option<Option<Head<'a>>> {
    let read = catch_unwind(AssertUnwindSafe(|| Head {
        name: head.name(),
        oid: head.oid(),
        symbolic: head.symref_target(),
    }));
    let read = read.ok();
    if read.is_none() {
        *unreadable.borrow_mut() += 1;
    }
    (*unreadable.borrow() <= MAX_UNREADABLE).then_some(read)
}

/// Cuts a transfer off at the deadline or the size limit, and remembers which it was.
struct Watch<'c> {
    deadline: Instant,
    max_bytes: usize,
    verdict: Verdict,
    conversation: &'c Conversation,
}

impl Watch<'_> {
    fn callbacks<'a>(&self) -> RemoteCallbacks<'a> {
        let (deadline, max_bytes) = (self.deadline, self.max_bytes);
        let judge = move |received: usize| {
            if received > max_bytes {
                Some(Failure::TooLarge(max_bytes as u64))
            } else {
                (Instant::now() >= deadline).then_some(Failure::Timeout)
            }
        };
        let go_on = |verdict: &Verdict, failure: Option<Failure>| match failure {
            None => true,
            Some(failure) => {
                verdict.record(failure);
                false
            }
        };
        let mut callbacks = RemoteCallbacks::new();
        let verdict = self.verdict.clone();
        callbacks.transfer_progress(move |progress| go_on(&verdict, judge(progress.received_bytes())));
        let verdict = self.verdict.clone();
        callbacks.sideband_progress(move |_| go_on(&verdict, judge(0)));
        if let Conversation::Ssh(conversation) = self.conversation {
            conversation.answer_in(&mut callbacks);
        }
        callbacks
    }

    fn in_time(&self) -> Result<(), Failure> {
        if Instant::now() < self.deadline {
            Ok(())
        } else {
            Err(Failure::Timeout)
        }
    }

    /// What an error of the conversation means.
    fn failure(&self, error: &git2::Error) -> Failure {
        self.verdict.take().unwrap_or_else(|| Failure::of_remote(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(digit: char) -> Oid {
        Oid::from_str(&digit.to_string().repeat(40)).unwrap()
    }

    fn branch(name: &str) -> Branch {
        name.parse().unwrap()
    }

    #[test]
    fn the_branch_is_chosen_by_its_whole_name() {
        let advertised = "HEAD=2>main main=2 refs/tags/v1=3 a/main=4 refs/heads/odd..name=5";
        let table = [
            (Want::Branch(branch("main")), advertised, "main 2"),
            (Want::Branch(branch("a/main")), advertised, "a/main 4"),
            (Want::Branch(branch("v1")), advertised, "BranchNotFound"),
            (Want::Branch(branch("master")), advertised, "BranchNotFound"),
            (Want::Default, advertised, "main 2 without master"),
            (Want::Default, "HEAD=2>main main=2 master=1", "master 1"),
            (Want::Default, "HEAD=2 main=2", "BranchNotFound"),
            (Want::Default, "HEAD=2>refs/tags/v1 main=2", "BranchNotFound"),
            (Want::Default, "main=2", "BranchNotFound"),
            (Want::Default, "", "BranchNotFound"),
            (
                Want::Commit("4".repeat(40).parse().unwrap()),
                advertised,
                "a/main 4",
            ),
            (
                Want::Commit("5".repeat(40).parse().unwrap()),
                advertised,
                "commit 5",
            ),
            (
                Want::Commit("9".repeat(40).parse().unwrap()),
                advertised,
                "commit 9",
            ),
        ];
        for (want, advertised, expected) in table {
            assert_eq!(chosen(&want, advertised), expected, "{want:?} of {advertised}");
        }
    }

    /// The choice among `name=digit` and `name=digit>target`, in words.
    fn chosen(want: &Want, advertised: &str) -> String {
        let full = |name: &str| match name {
            "HEAD" => name.to_owned(),
            name if name.starts_with("refs/") => name.to_owned(),
            name => format!("refs/heads/{name}"),
        };
        let heads: Vec<(String, Oid, Option<String>)> = advertised
            .split_whitespace()
            .map(|word| {
                let (name, value) = word.split_once('=').unwrap();
                let (digit, target) = value.split_at(1);
                let target = target.strip_prefix('>').map(full);
                (full(name), oid(digit.chars().next().unwrap()), target)
            })
            .collect();
        let heads = heads.iter().map(|(name, oid, symbolic)| Head {
            name,
            oid: *oid,
            symbolic: symbolic.as_deref(),
        });
        match choose(heads, want, &branch("master")) {
            Ok(Chosen::Branch {
                branch,
                oid,
                absent_default: None,
            }) => format!("{branch} {}", &oid.to_string()[..1]),
            Ok(Chosen::Branch {
                branch,
                oid,
                absent_default: Some(absent),
            }) => format!("{branch} {} without {absent}", &oid.to_string()[..1]),
            Ok(Chosen::Commit(oid)) => format!("commit {}", &oid.to_string()[..1]),
            Err(failure) => format!("{failure:?}"),
        }
    }
}
