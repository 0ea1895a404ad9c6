//! What this cluster makes of a workload before anything is stored: remarks on what has no effect here, and refusals of
//! what it cannot do. It looks at which programs this machine has, and asks nobody.

use deploy_core::manifest::{EnvValue, Resources, Violation};
use deploy_core::workload::{Review, Shape, Warning, WarningCode, Workload};

use super::paths::{self, Exists};

/// The review of one workload; `search` is the search path of commands.
pub(super) fn review(workload: &Workload, search: &str, exists: Exists<'_>) -> Review {
    Review {
        warnings: warnings(workload, search, exists),
        violations: violations(workload),
        runs_images: false,
    }
}

fn violations(workload: &Workload) -> Vec<Violation> {
    let container = &workload.container;
    let mut found = Vec::new();
    if container.command.as_ref().is_none_or(Vec::is_empty) {
        found.push(Violation::new(
            "/cmd",
            "the local cluster runs no images, so it needs a command: add \"cmd\"",
        ));
    }
    for (index, variable) in container.env.iter().enumerate() {
        if matches!(variable.value, EnvValue::Secret { .. }) {
            found.push(Violation::new(
                format!("/env/{index}/secret"),
                "the local cluster has no secrets: give a value, or deploy to Kubernetes",
            ));
        }
    }
    found
}

fn warnings(workload: &Workload, search: &str, exists: Exists<'_>) -> Vec<Warning> {
    let container = &workload.container;
    let mut found = vec![no_effect(
        "the local cluster runs the command as a process of this machine; the image is neither built nor pulled",
    )];
    if container.resources != Resources::default() {
        found.push(no_effect(
            "the local cluster neither reserves nor limits cpu and memory",
        ));
    }
    if let Shape::Service {
        replicas, published, ..
    } = &workload.shape
    {
        if published.is_some() {
            found.push(no_effect(
                "the local cluster publishes nothing; the service answers on its port of 127.0.0.1",
            ));
        }
        if *replicas > 1 {
            found.push(no_effect(
                "replicas of a service would share one port here; one is run",
            ));
        }
    }
    let arguments = container.command.as_deref().unwrap_or_default();
    if arguments
        .iter()
        .any(|argument| paths::map_argument(argument, "/").is_some())
    {
        found.push(Warning::new(
            WarningCode::PathMapped,
            "paths under /code/ in the command are mapped to the local copy of the task's code",
        ));
    }
    if let Some(program) = arguments.first()
        && let Some(mapped) = paths::map_program(program, search, exists)
    {
        found.push(Warning::new(
            WarningCode::PathMapped,
            format!("{program} does not exist on this machine; {mapped} from the search path is run"),
        ));
    }
    found
}

fn no_effect(message: &str) -> Warning {
    Warning::new(WarningCode::NoEffect, message)
}
