//! Deployments and services: keeps as many replicas of the wanted version running as asked. A new version of a deployment
//! comes up beside the old one; of a service, after it, for they would share a port. An old version is ended when the
//! new one is up, so a bad version does not take a good one down.

use std::sync::Arc;

use deploy_core::workload::{Condition, Reason, ReasonCode, Shape, Timestamp};

use super::node::{Node, pod_name};
use super::object::Object;
use super::record::{PodRecord, Record};
use super::replica::{LOOPS, Replica};

/// Looks after a deployment until its object is halted.
pub(super) async fn supervise(node: &Arc<Node>, object: &Arc<Object>) {
    let mut fleet = Fleet {
        node,
        object,
        replicas: Vec::new(),
        settled: None,
    };
    while !object.halt.is_cancelled() {
        let record = object.read(Clone::clone);
        fleet.reconcile(&record).await;
        if let Some(condition) = fleet.condition(&record) {
            // An apply that came meanwhile makes this nothing, and wakes us again.
            object.tell(node, record.revision, condition);
        }
        tokio::select! {
            () = object.wake.notified() => {}
            () = object.halt.cancelled() => {}
        }
    }
    for replica in fleet.replicas {
        replica.over().await;
    }
}

struct Fleet<'a> {
    node: &'a Arc<Node>,
    object: &'a Arc<Object>,
    replicas: Vec<Replica>,
    /// The version and number that was up, all of it: what is missing of it now is a degradation and no roll-out.
    settled: Option<(u64, usize)>,
}

impl Fleet<'_> {
    async fn reconcile(&mut self, record: &Record) {
        self.replicas.retain(|replica| !replica.is_over());
        let (wanted, exclusive) = wanted(record);
        let template = record.template;

        let mut kept = 0;
        for replica in &self.replicas {
            if replica.template == template && !replica.is_halted() {
                kept += 1;
                if kept > wanted {
                    replica.halt();
                }
            }
        }
        // A port is free when everyone who may hold it is gone.
        let in_the_way = |replica: &Replica| {
            (replica.template != template || replica.is_halted()) && (exclusive || replica.exclusive)
        };
        let is_blocked = self.replicas.iter().any(in_the_way);
        if is_blocked || self.ready(template) >= wanted {
            for replica in &self.replicas {
                if replica.template != template {
                    replica.halt();
                }
            }
        }
        if !is_blocked {
            for _ in kept..wanted {
                let pod = self.next_pod(record).await;
                self.replicas
                    .push(Replica::start(self.node, self.object, record, pod));
            }
        }
    }

    /// A pod of this version that an earlier server left, or a new one. Others left behind are forgotten.
    async fn next_pod(&self, record: &Record) -> PodRecord {
        let is_taken = |name: &str| self.replicas.iter().any(|replica| replica.name == name);
        let left = self.object.read(|now| {
            now.pods
                .iter()
                .find(|pod| pod.template == record.template && !is_taken(&pod.name))
                .cloned()
        });
        let pod = left.unwrap_or_else(|| {
            PodRecord::pending(pod_name(record.workload.name.as_str()), record.template, None)
        });
        let change = |now: &mut Record| {
            now.pods
                .retain(|known| known.template == record.template || is_taken(&known.name));
            if now.pod_mut(&pod.name).is_none() {
                now.pods.push(pod.clone());
            }
            None
        };
        if let Err(error) = self.object.change(self.node, change).await {
            // It is recorded when it starts, or does not start.
            tracing::warn!(%error, "a new pod could not be recorded");
        }
        pod
    }

    fn ready(&self, template: u64) -> usize {
        self.current(template)
            .filter(|replica| replica.status().ready_since.is_some())
            .count()
    }

    fn current(&self, template: u64) -> impl Iterator<Item = &Replica> {
        self.replicas
            .iter()
            .filter(move |replica| replica.template == template && !replica.is_halted())
    }

    fn condition(&mut self, record: &Record) -> Option<Condition> {
        let (wanted, _) = wanted(record);
        let goes_on = self.replicas.len() > self.current(record.template).count();
        if record.suspended {
            return (!goes_on).then_some(Condition::Stopped);
        }
        let ready = self.ready(record.template);
        let version = (record.template, wanted);
        if ready >= wanted && !goes_on {
            self.settled = Some(version);
            return Some(Condition::Ready {
                since: self.ready_since(record.template),
            });
        }
        let statuses: Vec<_> = self.current(record.template).map(Replica::status).collect();
        let worst = statuses.iter().max_by_key(|status| status.crashes);
        let loops = worst.is_some_and(|status| status.crashes >= LOOPS);
        let reason = worst.and_then(|status| status.reason.clone());
        let reason = reason.or_else(|| statuses.iter().find_map(|status| status.reason.clone()));
        if loops || (self.settled == Some(version) && ready < wanted) {
            return Some(Condition::Degraded(reason.unwrap_or_else(|| {
                Reason::new(ReasonCode::Lost, format!("{ready} of {wanted} replicas are up"))
            })));
        }
        if self.settled == Some(version) {
            // Surplus replicas still end; what is wanted is up.
            return None;
        }
        Some(Condition::Updating(reason))
    }

    /// Since when all of it is up. What was ready stays so under its time, also when a re-apply changes nothing.
    fn ready_since(&self, template: u64) -> Timestamp {
        let last = self
            .current(template)
            .filter_map(|replica| replica.status().ready_since)
            .max();
        match (last, self.object.condition()) {
            (Some(since), _) | (None, Condition::Ready { since }) => since,
            (None, _) => self.node.clock.now(),
        }
    }
}

/// How many replicas are wanted, and whether they need a port for themselves.
fn wanted(record: &Record) -> (usize, bool) {
    let (replicas, exclusive) = match record.workload.shape {
        Shape::Deployment { replicas } => (replicas as usize, false),
        // They would share one port; the review says so.
        Shape::Service { replicas, .. } => (replicas.min(1) as usize, true),
        Shape::Job { .. } | Shape::CronJob { .. } => (0, false),
    };
    if record.suspended {
        (0, exclusive)
    } else {
        (replicas, exclusive)
    }
}
