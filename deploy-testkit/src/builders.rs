//! Records with defaults, so that a test says only what it is about: `builders::task().name("load").job().build()`.
//! Texts are parsed as they come in; one that does not parse fails the test that gave it.

mod run;
mod task;
mod work;
mod workload;

use std::str::FromStr;

use chrono::DateTime;
use deploy_core::names::{PipelineId, TaskId, WorkId};
use deploy_core::task::Source;
use deploy_core::workload::{Kind, Slot, Timestamp};
use uuid::{Builder, Uuid};

pub use run::RunBuilder;
pub use task::{TaskBuilder, status};
pub use work::WorkBuilder;
pub use workload::WorkloadBuilder;

/// When everything here happens: 2026-01-01T00:00:00Z.
const EPOCH_SECONDS: i64 = 1_767_225_600;

/// A task: a job `task` in the namespace `demo`, pending, not yet in the cluster.
#[must_use]
pub fn task() -> TaskBuilder {
    TaskBuilder::default()
}

/// A workload: that of [`task`].
#[must_use]
pub fn workload() -> WorkloadBuilder {
    WorkloadBuilder::default()
}

/// A run that runs, in the namespace `demo`.
#[must_use]
pub fn run() -> RunBuilder {
    RunBuilder::default()
}

/// A work that loads a manifest.
#[must_use]
pub fn work() -> WorkBuilder {
    WorkBuilder::default()
}

/// That many seconds after (or before) the moment at which everything here happens, 2026-01-01T00:00:00Z.
#[must_use]
pub fn time(seconds: i64) -> Timestamp {
    DateTime::from_timestamp_nanos(0) + chrono::TimeDelta::seconds(EPOCH_SECONDS + seconds)
}

/// The task id of that number; ids sort by their numbers.
#[must_use]
pub fn task_id(number: u64) -> TaskId {
    TaskId::from_uuid(uuid(number))
}

/// The run id of that number; ids sort by their numbers.
#[must_use]
pub fn pipeline_id(number: u64) -> PipelineId {
    PipelineId::from_uuid(uuid(number))
}

/// The work id of that number; ids sort by their numbers.
#[must_use]
pub fn work_id(number: u64) -> WorkId {
    WorkId::from_uuid(uuid(number))
}

/// The place of that kind, namespace and name.
#[must_use]
#[track_caller]
pub fn slot(kind: Kind, namespace: &str, name: &str) -> Slot {
    Slot {
        kind: kind.slot(),
        namespace: parsed(namespace),
        name: parsed(name),
    }
}

/// A document read from git: `demo/etl` at master.
#[must_use]
pub fn source() -> Source {
    Source {
        repository: parsed("demo"),
        directory: parsed("etl"),
        branch: parsed("master"),
        commit: parsed("0123456789abcdef0123456789abcdef01234567"),
    }
}

/// A UUIDv7 made at the `number`th millisecond of everything here, with `number` as its random part.
fn uuid(number: u64) -> Uuid {
    let mut tail = [0; 10];
    tail[2..].copy_from_slice(&number.to_be_bytes());
    let millis = EPOCH_SECONDS.unsigned_abs() * 1000 + number;
    Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
}

/// A text of a test as the type it stands for.
#[track_caller]
#[allow(
    clippy::panic,
    reason = "a text that does not parse is a mistake in the test that gave it"
)]
pub(crate) fn parsed<T: FromStr>(text: &str) -> T {
    match text.parse() {
        Ok(value) => value,
        Err(_) => panic!("{text:?} is no {}", std::any::type_name::<T>()),
    }
}
