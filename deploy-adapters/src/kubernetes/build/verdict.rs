//! What a builder Job and its pods say: whether it has ended, what it built, and the last words of one that failed. Pure.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

/// As many lines of a failed build are told.
const LINES: usize = 20;

/// How a Job is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Underway,
    Built,
    /// With Kubernetes' words.
    Failed(String),
}

/// The Job's own conditions. The first of each pair comes as soon as it is decided, the second when its pods are done.
pub(super) fn of(job: &Job) -> Verdict {
    let conditions = job
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    for condition in conditions.filter(|condition| condition.status == "True") {
        match condition.type_.as_str() {
            "SuccessCriteriaMet" | "Complete" => return Verdict::Built,
            "FailureTarget" | "Failed" => {
                let (reason, message) = (
                    condition.reason.as_deref().unwrap_or_default(),
                    condition.message.as_deref().unwrap_or_default(),
                );
                return Verdict::Failed(match reason {
                    "DeadlineExceeded" => {
                        "the build took longer than it may; where its pod never ran, see that the builder's \
                                           image can be pulled and its Secrets exist"
                            .to_owned()
                    }
                    _ => format!("the builder failed: {reason}: {message}"),
                });
            }
            _ => {}
        }
    }
    Verdict::Underway
}

/// What was built: the message with which the builder's container ended well.
pub(super) fn digest(pods: &[Pod]) -> Option<String> {
    ends(pods)
        .filter(|end| end.exit_code == 0)
        .filter_map(|end| end.message.as_deref())
        .map(str::trim)
        .find(|message| is_digest(message))
        .map(str::to_owned)
}

/// What the builder wrote last before it failed: the kubelet keeps it, and no log is asked for.
pub(super) fn last_words(pods: &[Pod]) -> Option<String> {
    let end = ends(pods).find(|end| end.exit_code != 0)?;
    let written = end.message.as_deref().unwrap_or_default().trim_end();
    let lines: Vec<&str> = written.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
    Some(match end.reason.as_deref() {
        Some(reason) if last.is_empty() => format!("{reason}, exit code {}", end.exit_code),
        None if last.is_empty() => format!("exit code {}", end.exit_code),
        Some("OOMKilled") => format!("OOMKilled\n{}", last.join("\n")),
        _ => last.join("\n"),
    })
}

/// An image's digest as BuildKit writes it.
pub(super) fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:");
    hex.is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    })
}

fn ends(pods: &[Pod]) -> impl Iterator<Item = &ContainerStateTerminated> {
    pods.iter()
        .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref())
        .flatten()
        .filter_map(|container| container.state.as_ref()?.terminated.as_ref())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn job(conditions: &[(&str, &str, &str)]) -> Job {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status, reason)| json!({"type": kind, "status": status, "reason": reason, "message": "words"}))
            .collect();
        serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions}})).unwrap()
    }

    fn pod(code: i32, reason: &str, message: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {}, "status": {"containerStatuses": [{
            "name": "build", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "reason": reason, "message": message}},
        }]}}))
        .unwrap()
    }

    #[test]
    fn a_job_has_ended_when_its_end_is_decided() {
        for (conditions, ended) in [
            (&[][..], "under way"),
            (&[("Suspended", "False", "")], "under way"),
            (&[("Complete", "False", "")], "under way"),
            (&[("SuccessCriteriaMet", "True", "")], "built"),
            (&[("Complete", "True", "")], "built"),
            (&[("FailureTarget", "True", "BackoffLimitExceeded")], "failed"),
            (&[("Failed", "True", "DeadlineExceeded")], "failed"),
        ] {
            let found = match of(&job(conditions)) {
                Verdict::Underway => "under way",
                Verdict::Built => "built",
                Verdict::Failed(_) => "failed",
            };
            assert_eq!(found, ended, "{conditions:?}");
        }
        assert_eq!(of(&Job::default()), Verdict::Underway);
    }

    #[test]
    fn a_digest_is_told_by_a_container_that_ended_well() {
        let built = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(
            digest(&[pod(0, "Completed", &format!("{built}\n"))]),
            Some(built.clone())
        );
        assert_eq!(digest(&[pod(1, "Error", &built)]), None);
        for other in ["", "sha256:", "done", &built.to_uppercase(), &format!("{built}0")] {
            assert_eq!(digest(&[pod(0, "Completed", other)]), None, "{other}");
        }
        assert_eq!(digest(&[Pod::default()]), None);
    }

    #[test]
    fn a_failed_build_tells_the_end_of_its_log() {
        let log: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let told = last_words(&[pod(1, "Error", &log)]).unwrap();
        assert!(
            told.starts_with("line 80\n") && told.ends_with("line 99"),
            "{told}"
        );
        assert_eq!(
            last_words(&[pod(137, "OOMKilled", "")]).unwrap(),
            "OOMKilled, exit code 137"
        );
        assert_eq!(
            last_words(&[pod(137, "OOMKilled", "step 3")]).unwrap(),
            "OOMKilled\nstep 3"
        );
        assert_eq!(last_words(&[pod(0, "Completed", "fine")]), None);
        assert_eq!(last_words(&[]), None);
    }
}
