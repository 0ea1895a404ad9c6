//! What Kubernetes makes of a workload before anything is stored: pure, by the installation's rules alone. What only the
//! API server can know, it says when the object is sent.

use deploy_core::manifest::{Published, Violation};
use deploy_core::workload::{Review, Shape, Warning, WarningCode, Workload};

use super::rules::Rules;

/// The review of one workload.
pub(super) fn review(workload: &Workload, rules: &Rules) -> Review {
    let mut review = Review {
        runs_images: true,
        ..Review::default()
    };
    if let Shape::Service {
        published: Some(published),
        ..
    } = &workload.shape
    {
        review.violations.extend(unenforced(published, rules));
        review.violations.extend(our_own(published, rules));
        review.warnings = remarks(published, rules).into_iter().map(no_effect).collect();
    }
    review
}

/// A group that nobody asks for is refused, whether or not there is a gateway yet: nothing is exposed by accident.
fn unenforced(published: &Published, rules: &Rules) -> Option<Violation> {
    let is_enforced = rules
        .gateway
        .as_ref()
        .is_some_and(|gateway| gateway.auth.is_some());
    (published.access.is_some() && !published.bypass_auth && !is_enforced).then(|| {
        Violation::new(
            "/published/access",
            "this server has nothing that would enforce it (--exposure-auth): leave it out, or set \"bypass_auth\" to true to \
             have everyone who reaches the gateway let in",
        )
    })
}

/// Of two routes the one with the longer prefix is taken, so one that is above the server's takes nothing from it.
fn our_own(published: &Published, rules: &Rules) -> Option<Violation> {
    let own = &rules.gateway.as_ref()?.own_prefix;
    let below = published.prefix.strip_prefix(own.as_str())?;
    (!own.is_empty() && below.starts_with('/')).then(|| {
        Violation::new(
            "/published/prefix",
            format!(
                "{own}/ is where this server is served (--external-prefix); use a prefix that is not below it"
            ),
        )
    })
}

fn remarks(published: &Published, rules: &Rules) -> Vec<&'static str> {
    let Some(gateway) = &rules.gateway else {
        return vec![
            "this server publishes nothing (--exposure none); the service answers inside the cluster alone",
        ];
    };
    let mut found = Vec::new();
    if published.access.is_some() && published.bypass_auth {
        found.push("\"bypass_auth\" is true, so nobody is asked for the group of \"access\"");
    }
    if published.access.is_none() && !published.bypass_auth && gateway.auth.is_none() {
        found.push(
            "\"bypass_auth\" is false, but this server has no login to put in front (--exposure-auth): everyone who \
             reaches the gateway is let in",
        );
    }
    if published.sticky_sessions {
        found.push(
            "the Gateway API has no standard field for sticky sessions: the route carries the annotation \
             deploy-api/sticky-sessions, for a gateway that reads it",
        );
    }
    found
}

fn no_effect(message: &str) -> Warning {
    Warning::new(WarningCode::NoEffect, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use deploy_testkit::builders::WorkloadBuilder;

    use super::super::rules::Gateway;
    use super::*;

    fn rules(auth: Option<&str>) -> Rules {
        Rules {
            gateway: Some(Gateway {
                namespace: "infra".parse().unwrap(),
                name: "public".parse().unwrap(),
                own_prefix: "/apps/deploy-api".to_owned(),
                auth: auth.map(str::to_owned),
            }),
            ..Rules::default()
        }
    }

    #[test]
    fn no_route_leads_where_the_server_itself_is_served() {
        let table = [
            ("/apps/deploy-api/", true),
            ("/apps/deploy-api/v1/task/", true),
            ("/apps/deploy-api-two/", false),
            ("/apps/", false),
            ("/", false),
        ];
        for (prefix, refused) in table {
            let mut workload = published(None, true);
            if let Shape::Service {
                published: Some(published),
                ..
            } = &mut workload.shape
            {
                published.prefix = prefix.to_owned();
            }
            let found = review(&workload, &rules(None)).violations;
            assert_eq!(!found.is_empty(), refused, "{prefix}: {found:?}");
            assert!(found.iter().all(|v| v.pointer == "/published/prefix"));
            assert!(review(&workload, &Rules::default()).violations.is_empty());
        }
    }

    fn published(access: Option<&str>, bypass_auth: bool) -> Workload {
        WorkloadBuilder::default()
            .shape(Shape::Service {
                replicas: 1,
                port: 5000,
                published: Some(Published {
                    access: access.map(str::to_owned),
                    prefix: "/a/".to_owned(),
                    rewrite: "/".to_owned(),
                    timeout_ms: 6000,
                    sticky_sessions: false,
                    bypass_auth,
                }),
            })
            .build()
    }

    #[test]
    fn a_group_is_refused_where_nothing_enforces_it() {
        let nowhere = Rules::default();
        let open = rules(None);
        let guarded = rules(Some("sso"));
        // Access, bypass, rules, refused, remarks.
        let table = [
            (Some("team"), false, &nowhere, true, 1),
            (Some("team"), false, &open, true, 0),
            (Some("team"), false, &guarded, false, 0),
            (Some("team"), true, &open, false, 1),
            (Some("team"), true, &guarded, false, 1),
            (None, false, &nowhere, false, 1),
            (None, false, &open, false, 1),
            (None, false, &guarded, false, 0),
            (None, true, &open, false, 0),
        ];
        for (access, bypass, rules, refused, remarks) in table {
            let review = review(&published(access, bypass), rules);
            let at: Vec<_> = review.violations.iter().map(|v| v.pointer.as_str()).collect();
            let wanted: &[&str] = if refused { &["/published/access"] } else { &[] };
            assert_eq!(at, wanted, "{access:?} {bypass} {rules:?}");
            assert_eq!(
                review.warnings.len(),
                remarks,
                "{access:?} {bypass} {:?}",
                review.warnings
            );
            assert!(review.runs_images);
        }
    }

    #[test]
    fn what_is_not_published_is_accepted_as_it_is() {
        for workload in [
            WorkloadBuilder::default().job().build(),
            WorkloadBuilder::default().cronjob("@daily").build(),
            WorkloadBuilder::default().deployment().build(),
            WorkloadBuilder::default().service().build(),
        ] {
            let review = review(&workload, &Rules::default());
            assert!(review.violations.is_empty() && review.warnings.is_empty() && review.runs_images);
        }
    }
}
