//! Time and ids as the machine gives them. Decides nothing by them.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{SubsecRound, Utc};
use deploy_core::names::{PipelineId, TaskId, WorkId};
use deploy_core::ports::{Clock, Ids};
use deploy_core::workload::Timestamp;
use uuid::Uuid;

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    /// To the millisecond, which is what is stored and sorted by.
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(3)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// UUIDv7: each later than the last one of this process, even where the clock is set back.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    fn task(&self) -> TaskId {
        TaskId::from_uuid(Uuid::now_v7())
    }

    fn pipeline(&self) -> PipelineId {
        PipelineId::from_uuid(Uuid::now_v7())
    }

    fn work(&self) -> WorkId {
        WorkId::from_uuid(Uuid::now_v7())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_7_that_sort_in_the_order_of_their_making() {
        let made: Vec<TaskId> = (0..10_000).map(|_| SystemIds.task()).collect();
        assert!(made.is_sorted_by(|a, b| a < b && a.to_string() < b.to_string()));
        assert_eq!(made[0].uuid().get_version_num(), 7);
        assert!(SystemIds.pipeline().uuid() > made[9_999].uuid());
        assert!(SystemIds.work().uuid() > made[9_999].uuid());
    }

    #[test]
    fn the_time_has_no_fraction_of_a_millisecond() {
        assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1_000_000, 0);
    }

    #[tokio::test]
    async fn a_sleep_lasts_at_least_as_long_as_asked() {
        let start = std::time::Instant::now();
        SystemClock.sleep(Duration::from_millis(5)).await;
        assert!(start.elapsed() >= Duration::from_millis(5));
    }
}
