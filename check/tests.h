/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The functions that test the rules: rules.c says which rule each of them tests. */
#ifndef CHECK_TESTS_H
#define CHECK_TESTS_H

#include "run.h"

/* feature.c */
void probe_agrees(struct run *run);
void get_set_exclusive(struct run *run);
void probe_needs_no_data(struct run *run);
void argsz_counts(struct run *run);
void undefined_flags(struct run *run);
void stop_copy_is_set(struct run *run);
void unknown_flags(struct run *run);
void flags_are_constant(struct run *run);
void one_way_features(struct run *run);
void precopy_has_its_ioctl(struct run *run);
void unknown_features(struct run *run);
void bad_pointer(struct run *run);
void bad_pointer_of_result(struct run *run);

/* state.c */
void running_after_open(struct run *run);
void get_gives_no_descriptor(struct run *run);
void arc_is_complete(struct run *run);
void no_spontaneous_change(struct run *run);
void set_to_itself(struct run *run);
void error_is_no_target(struct run *run);
void unknown_states(struct run *run);
void optional_states(struct run *run);
void descriptor_exactly(struct run *run);
void failed_set_gives_nothing(struct run *run);
void all_pairs(struct run *run);
void combination_is_its_steps(struct run *run);
void no_way_back_to_precopy(struct run *run);
void failed_set_is_on_the_path(struct run *run);
void error_needs_reset(struct run *run);
void descriptor_is_cloexec(struct run *run);
void descriptor_has_a_direction(struct run *run);
void descriptor_is_a_stream(struct run *run);
void unknown_ioctl(struct run *run);
void concurrent_get(struct run *run);
void concurrent_set(struct run *run);
void random_walk(struct run *run);
void arc_times(struct run *run);

/* stopped.c */
void config_space_works(struct run *run);
void arcs_change_nothing(struct run *run);
void interrupts_can_be_set(struct run *run);
void no_interrupts(struct run *run);
void running_works_again(struct run *run);
void precopy_runs(struct run *run);
void loaded_device_works(struct run *run);
void loaded_device_stops(struct run *run);
void stopped_device_can_be_read(struct run *run);
void state_is_constant(struct run *run);

/* saving.c */
void end_is_permanent(struct run *run);
void end_is_readable(struct run *run);
void no_enomsg(struct run *run);
void segmentation_is_free(struct run *run);
void read_of_nothing(struct run *run);
void bad_pointer_of_read(struct run *run);
void session_ends_with_the_arc(struct run *run);
void close_before_the_arc(struct run *run);
void abort_without_draining(struct run *run);
void reset_ends_the_session(struct run *run);
void descriptor_outlives_device(struct run *run);
void session_is_one(struct run *run);
void signals_lose_nothing(struct run *run);
void another_process_reads(struct run *run);
void two_readers(struct run *run);
void nonblocking_reads(struct run *run);
void size_estimate(struct run *run);
void throughput(struct run *run);
void sessions_leave_nothing(struct run *run);
void unused_is_zero(struct run *run);

/* precopy.c */
void precopy_gives_descriptor(struct run *run);
void session_goes_on(struct run *run);
void info_in_precopy_only(struct run *run);
void info_argsz(struct run *run);
void initial_bytes_at_first(struct run *run);
void no_dirty_bytes_at_first(struct run *run);
void initial_bytes_decrease(struct run *run);
void info_has_no_side_effects(struct run *run);
void temporary_end_is_enomsg(struct run *run);
void info_and_read_agree(struct run *run);
void no_poll_at_temporary_end(struct run *run);
void precopy_is_part_of_the_stream(struct run *run);
void precopy_can_be_left_early(struct run *run);
void precopy_session_ends(struct run *run);
void no_precopy_without_the_flag(struct run *run);
void precopy_by_combination(struct run *run);
void reset_in_precopy(struct run *run);
void info_flags(struct run *run);
void infov2_can_be_set(struct run *run);
void infov2_flags_are_zero(struct run *run);
void reinit_starts_again(struct run *run);
void reinit_is_an_edge(struct run *run);
void precopy_is_as_large_as_said(struct run *run);

/* resuming.c */
void load_in_any_steps(struct run *run);
void round_trip(struct run *run);
void incomplete_is_refused(struct run *run);
void bad_header_is_refused(struct run *run);
void too_long_is_refused(struct run *run);
void mixed_streams(struct run *run);
void refusal_leaves_a_way_out(struct run *run);
void reset_aborts_resuming(struct run *run);
void load_and_run(struct run *run);
void write_after_the_end(struct run *run);
void bad_pointer_of_write(struct run *run);
void write_counts(struct run *run);
void foreign_stream_is_refused(struct run *run);
void garbage_is_refused(struct run *run);
void killed_while_resuming(struct run *run);
void resuming_from_running(struct run *run);
void refused_write_refuses_the_session(struct run *run);
void each_session_is_checked(struct run *run);
void no_leftovers(struct run *run);

/* reset.c */
void reset_in_each_state(struct run *run);
void flr_by_config_space(struct run *run);
void close_and_open(struct run *run);
void killed_in_each_state(struct run *run);
void debugfs_agrees(struct run *run);
void kernel_log_is_clean(struct run *run);
void cycles_leave_nothing(struct run *run);
void saved_in_low_power(struct run *run);

/* size.c */
void size_in_each_state(struct run *run);
void size_has_no_side_effects(struct run *run);
void size_is_plausible(struct run *run);
void size_cannot_be_set(struct run *run);
void size_argsz(struct run *run);
void size_in_a_session(struct run *run);

/* logging.c */
void logging_is_a_trio(struct run *run);
void no_report_without_start(struct run *run);
void a_page_of_ranges(struct run *run);
void bad_ranges(struct run *run);
void page_size_comes_back(struct run *run);
void page_size_hints(struct run *run);
void one_start_at_a_time(struct run *run);
void report_only_sets_bits(struct run *run);
void report_stays_in_the_bitmap(struct run *run);
void report_takes_any_page_size(struct run *run);
void report_refuses_page_sizes(struct run *run);
void report_clears(struct run *run);
void logging_in_each_state(struct run *run);
void stop_without_start(struct run *run);
void bad_pointers_of_logging(struct run *run);
void reset_and_close_while_logging(struct run *run);

#endif
