//! What a store of the core's records has to do: [`Journal`] and its read ports, [`Tasks`], [`Runs`] and [`Works`],
//! over the same records. Run it with [`crate::journal_contract`].

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a contract fails as a test does"
)]

mod commits;
mod reads;
mod recovery;

use deploy_core::ports::{Change, Generation, Journal, Runs, Tasks, Works};
use deploy_core::task::Task;

pub use commits::*;
pub use reads::*;
pub use recovery::*;

/// A store of records: the journal and all reads.
pub trait Store: Journal + Tasks + Runs + Works {}

impl<S: Journal + Tasks + Runs + Works> Store for S {}

/// One test for each clause of the contract. `$fresh` is an async function that answers an empty store and whatever has
/// to stay alive beside it.
#[macro_export]
macro_rules! journal_contract {
    ($fresh:path) => {
        $crate::journal_contract! { $fresh:
            a_task_is_read_back_as_it_was_put
            a_run_is_read_back_as_it_was_put
            a_work_is_read_back_as_it_moves_on
            a_commit_of_an_earlier_leader_is_refused
            a_commit_that_is_sent_again_changes_nothing
            a_change_that_cannot_be_recorded_takes_the_whole_commit_with_it
            a_place_passes_from_task_to_task_in_either_order
            a_status_changes_nothing_but_the_status
            the_status_of_a_task_that_was_removed_is_let_go
            removing_a_name_keeps_the_steps_of_runs
            works_leave_by_the_time_they_were_asked_for
            what_was_never_put_is_absent
            task_pages_are_in_order_and_complete
            a_task_page_may_begin_after_a_place_in_another_namespace
            finished_jobs_come_oldest_first
            run_pages_are_newest_first_and_complete
            steps_come_in_the_order_of_the_definition
            an_empty_store_has_nothing_to_recover
            recovery_finds_everything_that_is_not_finished
            recovery_leaves_out_what_has_ended
        }
    };
    ($fresh:path: $($clause:ident)+) => {
        $(
            #[tokio::test]
            async fn $clause() {
                let (store, _alive) = $fresh().await;
                $crate::contract::journal::$clause(&store).await;
            }
        )+
    };
}

/// Takes the lead and commits.
async fn put(store: &dyn Store, changes: &[Change]) -> Generation {
    let generation = store.lead().await.expect("the lead is free");
    store
        .commit(changes, generation)
        .await
        .expect("these changes can be recorded");
    generation
}

fn put_task(task: &Task) -> Change {
    Change::PutTask(Box::new(task.clone()))
}

fn set_status(task: &Task) -> Change {
    Change::SetStatus {
        task: task.id(),
        status: Box::new(task.status.clone()),
        live: task.is_live(),
    }
}
