//! How far a rolling update may go at each step, from counts alone.

/// One ReplicaSet of a Deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replicas {
    /// What it is told to have.
    pub(super) wanted: i64,
    /// What of it is available.
    pub(super) available: i64,
}

/// What a Deployment wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) replicas: i64,
    pub(super) surge: i64,
    pub(super) unavailable: i64,
    /// The old ones go before the new ones come.
    pub(super) recreate: bool,
}

/// How many replicas the new set and each old one are to have next.
pub(super) fn next(plan: Plan, new: Replicas, old: &[Replicas], old_pods: usize) -> (i64, Vec<i64>) {
    let old_wanted: i64 = old.iter().map(|set| set.wanted).sum();
    if plan.recreate {
        let new = if old_wanted == 0 && old_pods == 0 {
            plan.replicas
        } else {
            new.wanted
        };
        return (new, vec![0; old.len()]);
    }
    let room = plan.replicas + plan.surge - old_wanted - new.wanted;
    let grown = if new.wanted > plan.replicas {
        plan.replicas
    } else {
        (new.wanted + room.max(0)).min(plan.replicas)
    };
    let least = plan.replicas - plan.unavailable;
    let all_wanted = old_wanted + grown;
    let mut spare = (all_wanted - least - (grown - new.available).max(0)).max(0);
    let mut left: Vec<i64> = old.iter().map(|set| set.wanted).collect();
    // What does not run is missed by no one.
    for (left, set) in left.iter_mut().zip(old) {
        let gone = (set.wanted - set.available).clamp(0, spare);
        *left -= gone;
        spare -= gone;
    }
    let available: i64 = new.available + old.iter().map(|set| set.available).sum::<i64>();
    let mut more = (available - least).max(0);
    for (left, set) in left.iter_mut().zip(old) {
        let gone = (*left).min(set.available).clamp(0, more);
        *left -= gone;
        more -= gone;
    }
    (grown, left)
}

/// A count, or so many percent of the replicas; percent are rounded up for a surge and down for what may be missing.
pub(super) fn share(said: Option<&serde_json::Value>, replicas: i64, up: bool) -> i64 {
    match said {
        Some(serde_json::Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            if up {
                (replicas * percent + 99) / 100
            } else {
                replicas * percent / 100
            }
        }
        Some(other) => other.as_i64().unwrap_or(0),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(wanted: i64, available: i64) -> Replicas {
        Replicas { wanted, available }
    }

    #[test]
    fn a_rolling_update_keeps_what_it_promises_at_each_step() {
        let plan = |replicas, surge, unavailable| Plan {
            replicas,
            surge,
            unavailable,
            recreate: false,
        };
        let check = |plan: Plan, new: Replicas, old: Replicas, wanted: (i64, i64)| {
            let (grown, left) = next(plan, new, &[old], 0);
            assert_eq!((grown, left[0]), wanted, "{plan:?} {new:?} {old:?}");
        };
        check(plan(2, 1, 0), set(0, 0), set(2, 2), (1, 2));
        check(plan(2, 1, 0), set(1, 0), set(2, 2), (1, 2));
        check(plan(2, 1, 0), set(1, 1), set(2, 2), (1, 1));
        check(plan(2, 1, 0), set(1, 1), set(1, 1), (2, 1));
        check(plan(2, 1, 0), set(2, 2), set(1, 1), (2, 0));
        // An old version that never came up is missed by no one, as far as the plan lets pods be missing.
        check(plan(2, 1, 1), set(1, 0), set(2, 0), (1, 1));
        check(plan(1, 1, 0), set(5, 5), set(0, 0), (1, 0));
    }

    #[test]
    fn a_recreation_waits_for_the_old_pods_to_be_gone() {
        let plan = Plan {
            replicas: 2,
            surge: 0,
            unavailable: 0,
            recreate: true,
        };
        assert_eq!(next(plan, set(0, 0), &[set(2, 2)], 2), (0, vec![0]));
        assert_eq!(next(plan, set(0, 0), &[set(0, 0)], 1), (0, vec![0]));
        assert_eq!(next(plan, set(0, 0), &[set(0, 0)], 0), (2, vec![0]));
    }
}
