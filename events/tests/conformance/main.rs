//! One suite that every log passes: the one in memory under a paused clock, the one on JetStream against a real
//! nats-server of its own.

mod append;
mod batch;
mod consume;
mod fixture;
mod follow;
mod group;
mod jetstream;
mod memory;
mod proxy;
mod retention;
mod snapshot;
mod streams;

use fixture::{JetStreamFixture, MemoryFixture};

macro_rules! conformance {
    ($($room:ident: $($case:ident)*;)*) => {
        mod memory_log {
            $(mod $room {
                $(#[tokio::test(start_paused = true)]
                async fn $case() {
                    crate::$room::$case(&mut crate::MemoryFixture::new()).await;
                })*
            })*
        }
        mod jetstream_log {
            $(mod $room {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$room::$case(&mut crate::JetStreamFixture::new().await).await;
                })*
            })*
        }
    };
}

conformance! {
    append:
        what_is_appended_is_read_in_order
        any_bytes_are_kept
        headers_are_kept
        an_expectation_guards_the_whole_aggregate
        one_of_many_rivals_wins
        an_id_is_stored_once
        a_guarded_append_may_be_repeated
        a_guarded_append_may_be_repeated_after_others_wrote
        a_guarded_append_may_be_repeated_with_another_expectation
        a_guarded_append_may_be_repeated_after_ids_are_forgotten
        another_message_is_no_repetition
        a_lost_acknowledgement_doubles_nothing
        a_subject_without_stream_is_said
        a_body_that_is_too_large_is_refused;
    batch:
        a_batch_spans_aggregates
        expectations_of_equal_length_are_told_apart
        one_stale_expectation_refuses_all
        a_batch_may_be_repeated
        a_batch_may_be_repeated_after_others_wrote
        a_batch_may_be_repeated_after_ids_are_forgotten
        a_batch_that_is_stored_in_part_is_a_conflict
        a_lost_acknowledgement_doubles_no_batch
        batches_are_not_interleaved
        what_is_no_batch_is_refused;
    group:
        many_at_once_are_stored_and_told_apart
        a_conflict_in_the_middle_is_its_own
        a_repetition_among_others_is_recognised
        a_lost_acknowledgement_doubles_no_group
        of_rivals_in_one_call_the_first_wins
        a_refusal_in_the_middle_is_its_own
        more_than_a_batch_takes_is_stored_in_order
        appends_of_many_tasks_are_told_apart;
    consume:
        what_is_acknowledged_does_not_come_again
        what_is_not_acknowledged_comes_again
        progress_keeps_a_message
        a_message_comes_again_when_asked_for
        a_durable_continues_after_it_is_opened_again
        a_durable_selects
        readers_share_a_durable
        unacknowledged_messages_are_bounded
        a_durable_survives_a_restart
        a_durable_of_a_vanished_stream_begins_anew
        a_call_that_is_dropped_loses_nothing;
    follow:
        following_begins_where_it_is_told
        following_selects
        following_gives_everything_under_concurrent_appends
        following_survives_a_restart
        a_vanished_stream_is_followed_from_its_beginning
        a_stream_that_was_made_anew_is_followed_from_its_beginning
        a_slow_follower_misses_nothing
        an_empty_stream_is_caught_up
        a_missing_stream_is_said
        a_call_that_is_dropped_loses_nothing;
    streams:
        ensuring_is_idempotent
        ensuring_changes_what_can_be_changed
        a_clash_names_what_differs
        a_clash_of_subjects_names_the_stream
        purging_takes_what_is_selected
        the_extent_tells_first_and_last
        the_last_of_a_filter_is_found
        reading_selects_and_stops
        messages_kept_a_subject_are_bounded
        bytes_are_bounded
        old_messages_go
        a_stream_on_disk_survives_a_restart;
    snapshot:
        the_newest_snapshot_is_found
        a_snapshot_of_other_logic_is_not_used
        a_snapshot_that_was_damaged_is_not_used
        a_large_state_is_kept_in_parts
        an_older_snapshot_does_not_replace_a_newer
        folds_are_kept_apart;
    retention:
        what_is_over_and_old_goes_and_money_stays
        the_first_young_message_is_found;
}
