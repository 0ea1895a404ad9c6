//! What kind of cluster it is.

use std::collections::BTreeMap;
use std::time::Duration;

/// The cluster that a server stands in for. The default runs everything it is given.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What its one node has to give to a single pod, in thousandths of a core; a pod that asks for more is unschedulable.
    pub cpu_millis: u64,
    /// As `cpu_millis`, in bytes.
    pub memory_bytes: u64,
    /// How many pods a namespace takes, where it is limited: more are refused with `exceeded quota`.
    pub pods: BTreeMap<String, usize>,
    /// Whether the Gateway API is installed.
    pub gateway_api: bool,
    /// How long after a container's end its pod's phase follows (about 1.1 s on a real node). Zero: still an event later.
    pub phase_lag: Duration,
    /// How many changes of a kind are kept for watches; one that begins before them is answered 410.
    pub history: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cpu_millis: 64_000,
            memory_bytes: 64 << 30,
            pods: BTreeMap::new(),
            gateway_api: true,
            phase_lag: Duration::ZERO,
            history: 50_000,
        }
    }
}
