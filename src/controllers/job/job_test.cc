// The arithmetic of jobs: indexes, policies, back-off, planning and counting.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "controllers/job/job_sync.h"
#include "controllers/job/policies.h"
#include "controllers/job/tracking.h"
#include "controllers/support/jobs.h"

namespace trireme::controllers {
namespace {

using namespace api::batchv1;  // NOLINT
using api::corev1::Pod;
using std::chrono::seconds;

constexpr WallTime kNow{seconds(1'700'000'000)};

Job job(int32_t completions, int32_t parallelism, bool indexed = false) {
  Job out;
  out.metadata.name = "j";
  out.metadata.uid = "job-uid";
  out.spec.completions = completions;
  out.spec.parallelism = parallelism;
  out.spec.backoff_limit = 6;
  out.spec.completion_mode = indexed ? kIndexedCompletion : kNonIndexedCompletion;
  out.spec.template_.spec.restart_policy = "Never";
  out.spec.template_.spec.containers.emplace_back().name = "main";
  return out;
}

/// `what`: "r" running, "R" running and ready, "s" succeeded, "f" failed, "t" running and terminating; behind it "-"
/// for a pod without the finalizer.
JobPod pod(const std::string& uid, std::string_view what, int32_t index = kNoIndex) {
  Pod out;
  out.metadata.name = out.metadata.uid = uid;
  if (!what.ends_with('-')) out.metadata.finalizers.emplace_back(kJobTrackingFinalizer);
  if (index != kNoIndex) out.metadata.annotations[kJobCompletionIndexAnnotation] = std::to_string(index);
  const char state = what[0];
  out.status.phase = state == 's' ? "Succeeded" : state == 'f' ? "Failed" : "Running";
  if (state == 'R') {
    auto& ready = out.status.conditions.emplace_back();
    ready.type = "Ready";
    ready.status = "True";
  }
  if (state == 't') out.metadata.deletion_timestamp = api::Time(kNow);
  auto& container = out.status.container_statuses.emplace_back();
  container.name = "main";
  if (state == 's' || state == 'f') {
    auto& terminated = container.state.terminated.emplace();
    terminated.exit_code = state == 'f' ? 1 : 0;
    terminated.finished_at = api::Time(kNow);
  }
  return job_pod(std::make_shared<const Pod>(std::move(out)));
}

JobPod changed(const JobPod& from, const std::function<void(Pod&)>& edit) {
  Pod copy = *from.pod;
  edit(copy);
  return job_pod(std::make_shared<const Pod>(std::move(copy)));
}

JobSync pass(const Job& job, std::vector<JobPod> pods, std::optional<Backoff> backoff = Backoff()) {
  return examine(job, std::move(pods), backoff, kNow);
}

std::string ending(const JobSync& sync) { return sync.ending ? sync.ending->type + " " + sync.ending->reason : ""; }

std::string names(const std::vector<PodPointer>& pods) {
  std::vector<std::string> all;
  for (const auto& each : pods) all.push_back(each->metadata.uid);
  std::ranges::sort(all);
  std::string out;
  for (const auto& each : all) out += (out.empty() ? "" : " ") + each;
  return out;
}

TEST(IndexSetTest, TextBothWays) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", ""},           {"0", "0"},         {"0,1", "0,1"}, {"0-1", "0,1"},     {"0,1,2", "0-2"},
      {"0-2,3-5", "0-5"}, {"7,3-4", "3,4,7"}, {"x,2", "2"},   {"1-x,2", "2"},     {"5-3", ""},
      {"8-20", "8,9"},    {"10", ""},         {"-1", ""},     {"1,,2", "1,2"},    {"2-2", "2"},
      {"0-9", "0-9"},     {"1-3,2-5", "1-5"}, {"+1", ""},     {"99999999999", ""}};
  for (const auto& [text, again] : cases) EXPECT_EQ(IndexSet::parse(text, 10).to_string(), again) << text;
}

TEST(IndexSetTest, Sets) {
  IndexSet set = IndexSet::of({5, 1, 2, 2, 9});
  EXPECT_EQ(set.to_string(), "1,2,5,9");
  EXPECT_EQ(set.size(), 4);
  EXPECT_TRUE(set.contains(2));
  EXPECT_FALSE(set.contains(3));
  EXPECT_FALSE(set.contains(10));
  EXPECT_EQ(set.missing(3, 10), (std::vector<int32_t>{0, 3, 4}));
  EXPECT_EQ(set.missing(100, 8), (std::vector<int32_t>{0, 3, 4, 6, 7}));
  EXPECT_EQ(IndexSet().missing(2, 1), (std::vector<int32_t>{0}));
  set.add(IndexSet::of({3, 4, 0, 11}));
  EXPECT_EQ(set.to_string(), "0-5,9,11");
  EXPECT_EQ(set.common(IndexSet::of({4, 5, 6, 9, 10, 11})), 4);
  EXPECT_EQ(set.common(IndexSet()), 0);
}

TEST(JobPolicyTest, Failures) {
  Job with = job(1, 1);
  auto& rules = with.spec.pod_failure_policy.emplace().rules;
  const auto exit_codes = [&](std::string_view action, std::string_view op, std::vector<int32_t> values,
                              Box<std::string> container = std::nullopt) {
    auto& rule = rules.emplace_back();
    rule.action = action;
    auto& wanted = rule.on_exit_codes.emplace();
    wanted.operator_ = op;
    wanted.values = std::move(values);
    wanted.container_name = std::move(container);
  };
  exit_codes("FailIndex", "In", {2}, "other");
  exit_codes("Count", "In", {3});
  auto& disrupted = rules.emplace_back();
  disrupted.action = "Ignore";
  auto& pattern = disrupted.on_pod_conditions.emplace_back();
  pattern.type = "DisruptionTarget";
  pattern.status = "True";
  exit_codes("FailJob", "NotIn", {1, 2, 3});

  const auto judge = [&](int32_t code, std::string_view container, bool is_disrupted = false, bool init = false) {
    const JobPod failed = changed(pod("p", "f"), [&](Pod& each) {
      each.metadata.namespace_ = "ns";
      if (is_disrupted) {
        auto& condition = each.status.conditions.emplace_back();
        condition.type = "DisruptionTarget";
        condition.status = "True";
      }
      auto& status = each.status.container_statuses[0];
      status.name = container;
      status.state.terminated->exit_code = code;
      if (init) std::swap(each.status.container_statuses, each.status.init_container_statuses);
    });
    return judge_failure(with.spec, *failed.pod);
  };
  EXPECT_EQ(judge(2, "main").action, "");
  EXPECT_EQ(judge(2, "other").action, "FailIndex");
  EXPECT_EQ(judge(3, "main").action, "Count");
  EXPECT_TRUE(judge(3, "main").counts());
  EXPECT_EQ(judge(1, "main").action, "");
  EXPECT_TRUE(judge(1, "main").counts());
  EXPECT_EQ(judge(1, "main", true).action, "Ignore");
  EXPECT_FALSE(judge(1, "main", true).counts());
  EXPECT_EQ(judge(42, "main").message,
            "Container main for pod ns/p failed with exit code 42 matching FailJob rule at index 3");
  EXPECT_EQ(judge(42, "main", false, true).action, "FailJob");
  EXPECT_EQ(judge(0, "main").action, "");
  rules[2].action = "FailJob";
  EXPECT_EQ(judge(42, "main", true).message,
            "Pod ns/p has condition DisruptionTarget matching FailJob rule at index 2");
  EXPECT_EQ(judge_failure(job(1, 1).spec, *pod("p", "f").pod).action, "");
}

TEST(JobPolicyTest, Success) {
  Job with = job(10, 3, true);
  auto& rules = with.spec.success_policy.emplace().rules;
  const auto message = [&](std::vector<int32_t> indexes) {
    return success_message(with.spec, IndexSet::of(std::move(indexes))).value_or("");
  };
  rules.emplace_back().succeeded_indexes = "0,2-4";
  EXPECT_EQ(message({0, 2, 3}), "");
  EXPECT_EQ(message({0, 1, 2, 3, 4}), "Matched rules at index 0");
  rules[0].succeeded_count = 2;
  EXPECT_EQ(message({3, 9}), "");
  EXPECT_EQ(message({3, 4, 9}), "Matched rules at index 0");
  rules.emplace_back().succeeded_count = 3;
  EXPECT_EQ(message({7, 8, 9}), "Matched rules at index 1");
  EXPECT_EQ(message({}), "");
  rules[0].succeeded_indexes = "20-30";  // nothing that this job has
  EXPECT_EQ(message({0}), "");
  EXPECT_EQ(success_message(job(10, 3, true).spec, IndexSet::of({0})), std::nullopt);
}

TEST(JobBackoffTest, DoublesUpToTenMinutes) {
  const std::pair<int32_t, int64_t> cases[] = {{0, 0}, {1, 10}, {2, 20}, {3, 40}, {6, 320}, {7, 600}, {1000, 600}};
  for (const auto& [failures, wait] : cases) {
    EXPECT_EQ(remaining({failures, kNow}, kNow), seconds(wait)) << failures;
    EXPECT_EQ(remaining({failures, kNow}, kNow + seconds(wait)), seconds(0)) << failures;
  }
  EXPECT_EQ(remaining({1, kNow}, kNow + seconds(4)), seconds(6));
}

TEST(JobBackoffTest, CountsFailuresSinceTheLastSuccess) {
  const auto at = [](const std::string& uid, std::string_view what, int64_t second) {
    return changed(pod(uid, what),
                   [&](Pod& each) {
                     each.status.container_statuses[0].state.terminated->finished_at =
                         api::Time(kNow + seconds(second));
                   })
        .pod;
  };
  const Backoff before{2, kNow};
  EXPECT_EQ(advance(before, {}, {}), before);
  const std::vector<PodPointer> failed{at("a", "f", 5), at("b", "f", 3)};
  EXPECT_EQ(advance(before, {}, failed), (Backoff{4, kNow + seconds(5)}));
  const std::vector<PodPointer> succeeded{at("c", "s", 4)};
  EXPECT_EQ(advance(before, succeeded, {}), Backoff());
  EXPECT_EQ(advance(before, succeeded, failed), (Backoff{1, kNow + seconds(5)}));
}

TEST(JobBackoffTest, WhenAPodEnded) {
  Pod each = *pod("p", "f").pod;
  EXPECT_EQ(finished_time(each), kNow);
  each.status.container_statuses[0].state.terminated.reset();
  each.metadata.creation_timestamp = api::Time(kNow - seconds(100));
  EXPECT_EQ(finished_time(each), kNow - seconds(100));
  each.metadata.deletion_timestamp = api::Time(kNow + seconds(30));
  each.metadata.deletion_grace_period_seconds = 40;
  EXPECT_EQ(finished_time(each), kNow - seconds(10));
  auto& ready = each.status.conditions.emplace_back();
  ready.type = "Ready";
  ready.status = "False";
  ready.last_transition_time = api::Time(kNow - seconds(3));
  EXPECT_EQ(finished_time(each), kNow - seconds(3));
}

TEST(JobSyncTest, CountsWhatTheStatusDoesNotHaveYet) {
  Job each = job(10, 5);
  each.status.succeeded = 2;
  each.status.failed = 1;
  each.status.uncounted_terminated_pods.emplace().succeeded = {"a"};
  each.status.uncounted_terminated_pods->failed = {"gone"};
  const JobSync sync = pass(
      each, {pod("a", "s"), pod("b", "s"), pod("c", "s-"), pod("d", "f"), pod("e", "t"), pod("f", "R"), pod("g", "r")});
  EXPECT_EQ(sync.succeeded, 2 + 1 + 1);  // b is new, a is noted, c was counted
  EXPECT_EQ(sync.failed, 1 + 2 + 1);     // d and e are new
  EXPECT_EQ(sync.active.size(), 2u);
  EXPECT_EQ(sync.ready, 1);
  EXPECT_EQ(sync.terminating, 1);
  EXPECT_TRUE(sync.job.status.start_time);
  EXPECT_EQ(ending(sync), "");

  each.spec.pod_replacement_policy = "Failed";
  EXPECT_EQ(pass(each, {pod("e", "t")}).failed, 2);
}

TEST(JobSyncTest, HowItEnds) {
  const std::vector<JobPod> failed{pod("a", "f"), pod("b", "f")};
  Job each = job(5, 5);
  each.spec.backoff_limit = 1;
  EXPECT_EQ(ending(pass(each, failed)), "FailureTarget BackoffLimitExceeded");
  each.spec.backoff_limit = 2;
  EXPECT_EQ(ending(pass(each, failed)), "");
  each.spec.active_deadline_seconds = 60;
  each.status.start_time = api::Time(kNow - seconds(59));
  EXPECT_EQ(pass(each, {}).deadline_in, seconds(1));
  each.status.start_time = api::Time(kNow - seconds(60));
  EXPECT_EQ(ending(pass(each, {})), "FailureTarget DeadlineExceeded");
  each.spec.suspend = true;
  EXPECT_EQ(ending(pass(each, {})), "");
  each = job(5, 5);
  each.spec.template_.spec.restart_policy = "OnFailure";
  each.spec.backoff_limit = 3;
  const auto restarted = [](int32_t times) {
    return changed(pod("a", "r"), [&](Pod& one) { one.status.container_statuses[0].restart_count = times; });
  };
  EXPECT_EQ(ending(pass(each, {restarted(2)})), "");
  EXPECT_EQ(ending(pass(each, {restarted(3)})), "FailureTarget BackoffLimitExceeded");
  each.spec.backoff_limit = 0;
  EXPECT_EQ(ending(pass(each, {restarted(0)})), "");
  EXPECT_EQ(ending(pass(each, {restarted(1)})), "FailureTarget BackoffLimitExceeded");
  // What was announced stands, whatever the pods say now.
  each = job(5, 5);
  each.status.conditions.push_back(make_condition(kJobFailureTarget, "PodFailurePolicy", "why", kNow));
  EXPECT_EQ(ending(pass(each, {})), "Failed PodFailurePolicy");
  each.status.conditions[0].type = kJobSuccessCriteriaMet;
  EXPECT_EQ(ending(pass(each, failed)), "SuccessCriteriaMet PodFailurePolicy");
}

TEST(JobSyncTest, IndexesThatFail) {
  Job each = job(4, 4, true);
  each.spec.backoff_limit_per_index = 1;
  each.spec.backoff_limit = std::numeric_limits<int32_t>::max();
  const auto failed = [](const std::string& uid, int32_t index, std::string_view count) {
    return changed(pod(uid, "f", index),
                   [&](Pod& one) { one.metadata.annotations[kJobIndexFailureCountAnnotation] = count; });
  };
  JobSync sync = pass(each, {failed("a", 0, "0"), failed("b", 1, "1"), pod("c", "s", 2), pod("d", "r", 3)});
  EXPECT_EQ(sync.failed_indexes->to_string(), "1");
  EXPECT_EQ(sync.succeeded_indexes.to_string(), "2");
  ASSERT_EQ(sync.waiting.size(), 1u);
  EXPECT_EQ(sync.waiting.at(0)->metadata.uid, "a");
  EXPECT_EQ(ending(sync), "");
  // The failure is passed on to the pod that comes next, and only then counted.
  EXPECT_EQ(pod_of(sync, 0).metadata.annotations.at(kJobIndexFailureCountAnnotation), "1");
  EXPECT_EQ(names(note_ended(sync).pods), "b c");
  EXPECT_EQ(sync.job.status.failed_indexes, "1");
  EXPECT_EQ(sync.job.status.completed_indexes, "2");
  EXPECT_EQ(sync.job.status.succeeded, 1);
  EXPECT_EQ(sync.job.status.uncounted_terminated_pods->failed, (std::vector<std::string>{"b"}));

  each.spec.max_failed_indexes = 0;
  EXPECT_EQ(ending(pass(each, {failed("b", 1, "1")})), "FailureTarget MaxFailedIndexesExceeded");
  each.spec.max_failed_indexes.reset();
  each.status.completed_indexes = "0,2,3";
  EXPECT_EQ(ending(pass(each, {failed("b", 1, "1")})), "FailureTarget FailedIndexes");
}

TEST(JobPlanTest, Numbers) {
  const auto plan = [](const Job& each, std::vector<JobPod> pods) {
    const JobSync sync = pass(each, std::move(pods));
    const PodPlan out = plan_pods(sync);
    return out.remove.empty() ? "+" + std::to_string(out.create) : "-" + names(out.remove);
  };
  EXPECT_EQ(plan(job(5, 3), {}), "+3");
  EXPECT_EQ(plan(job(5, 3), {pod("a", "r"), pod("b", "s")}), "+2");
  EXPECT_EQ(plan(job(2, 3), {pod("a", "r"), pod("b", "s")}), "+0");
  EXPECT_EQ(plan(job(5, 1), {pod("a", "R"), pod("b", "r")}), "-b");  // the one that is not ready
  EXPECT_EQ(plan(job(5, 0), {pod("a", "R")}), "-a");
  EXPECT_EQ(plan(job(0, 3), {}), "+0");
  Job queue = job(1, 3);
  queue.spec.completions.reset();
  EXPECT_EQ(plan(queue, {}), "+3");
  EXPECT_EQ(plan(queue, {pod("a", "s"), pod("b", "r")}), "+0");
  Job suspended = job(5, 3);
  suspended.spec.suspend = true;
  EXPECT_EQ(plan(suspended, {pod("a", "r"), pod("b", "t")}), "-a");
  // A pod that is terminating is replaced at once, or only when it has failed.
  Job patient = job(5, 1);
  const Backoff none;
  EXPECT_EQ(plan_pods(examine(patient, {pod("a", "t")}, none, kNow + seconds(3600))).create, 1u);
  patient.spec.pod_replacement_policy = "Failed";
  EXPECT_EQ(plan_pods(examine(patient, {pod("a", "t")}, none, kNow + seconds(3600))).create, 0u);
}

TEST(JobPlanTest, BackOff) {
  const JobSync failed = pass(job(5, 1), {pod("a", "f")});
  EXPECT_EQ(plan_pods(failed).create, 0u);
  EXPECT_EQ(plan_pods(failed).wait, seconds(10));
  // After a restart the pods that were counted long ago tell it, too.
  EXPECT_EQ(plan_pods(pass(job(5, 1), {pod("a", "f-"), pod("b", "f-")}, std::nullopt)).wait, seconds(20));
  EXPECT_EQ(plan_pods(pass(job(5, 1), {pod("a", "f-"), pod("b", "f-")})).wait, std::nullopt);
}

TEST(JobPlanTest, Indexes) {
  Job each = job(6, 3, true);
  each.status.completed_indexes = "0,1";
  EXPECT_EQ(plan_pods(pass(each, {pod("a", "r", 3)})).indexes, (std::vector<int32_t>{2, 4}));
  // Repeated, missing and invalid indexes go.
  EXPECT_EQ(names(plan_pods(pass(each, {pod("a", "R", 3), pod("b", "r", 3), pod("c", "r"), pod("d", "r", 6)})).remove),
            "b c d");
  // With a limit per index each waits for itself.
  each.spec.backoff_limit_per_index = 5;
  const PodPlan plan = plan_pods(pass(each, {pod("a", "f", 2)}));
  EXPECT_EQ(plan.indexes, (std::vector<int32_t>{3, 4}));
  EXPECT_EQ(plan.wait, seconds(10));
}

TEST(JobPlanTest, ThePodOfAnIndex) {
  Job each = job(12, 3, true);
  each.metadata.name = std::string(60, 'x');
  const Pod made = pod_of(pass(each, {}), 11);
  EXPECT_EQ(made.metadata.generate_name, std::string(54, 'x') + "-11-");
  EXPECT_EQ(made.spec.hostname, each.metadata.name + "-11");
  EXPECT_EQ(made.metadata.annotations.at(kJobCompletionIndexAnnotation), "11");
  EXPECT_EQ(made.metadata.labels.at(kJobCompletionIndexAnnotation), "11");
  EXPECT_TRUE(has_tracking_finalizer(made));
  ASSERT_EQ(made.spec.containers[0].env.size(), 1u);
  EXPECT_EQ(made.spec.containers[0].env[0].name, "JOB_COMPLETION_INDEX");
  EXPECT_EQ(made.spec.containers[0].env[0].value_from->field_ref->field_path,
            "metadata.labels['batch.kubernetes.io/job-completion-index']");
  EXPECT_FALSE(made.metadata.annotations.contains(kJobIndexFailureCountAnnotation));
}

TEST(JobTrackingTest, ThreeSteps) {
  Job each = job(5, 5);
  JobSync first = pass(each, {pod("a", "s"), pod("b", "f"), pod("c", "r")});
  const Release release = note_ended(first);
  EXPECT_EQ(names(release.pods), "a b");
  EXPECT_TRUE(release.complete);
  EXPECT_EQ(first.job.status.succeeded, 0);
  EXPECT_EQ(first.job.status.uncounted_terminated_pods->succeeded, (std::vector<std::string>{"a"}));
  EXPECT_EQ(first.job.status.uncounted_terminated_pods->failed, (std::vector<std::string>{"b"}));
  // Died here: the same again changes nothing.
  JobSync again = pass(first.job, {pod("a", "s"), pod("b", "f"), pod("c", "r")});
  EXPECT_EQ(again.succeeded, 1);
  EXPECT_EQ(again.failed, 1);
  EXPECT_EQ(names(note_ended(again).pods), "a b");
  EXPECT_EQ(again.job.status.uncounted_terminated_pods->succeeded.size(), 1u);
  // Died when the finalizers were gone (and one pod with it).
  JobSync last = pass(again.job, {pod("a", "s-"), pod("c", "r")});
  EXPECT_EQ(last.succeeded, 1);
  EXPECT_EQ(last.failed, 1);
  EXPECT_TRUE(note_ended(last).pods.empty());
  EXPECT_EQ(last.job.status.succeeded, 1);
  EXPECT_EQ(last.job.status.failed, 1);
  EXPECT_TRUE(last.job.status.uncounted_terminated_pods->succeeded.empty());
  EXPECT_TRUE(last.job.status.uncounted_terminated_pods->failed.empty());
}

TEST(JobTrackingTest, AsManyAsFitIntoOneStatus) {
  std::vector<JobPod> pods;
  for (int i = 0; i < 700; ++i) pods.push_back(pod("p" + std::to_string(i), "s"));
  JobSync sync = pass(job(1000, 700), pods);
  const Release release = note_ended(sync);
  EXPECT_EQ(release.pods.size(), 500u);
  EXPECT_FALSE(release.complete);
  EXPECT_EQ(sync.job.status.uncounted_terminated_pods->succeeded.size(), 500u);
}

TEST(JobTrackingTest, TheEndComesInTwoConditions) {
  Job each = job(5, 5);
  each.spec.backoff_limit = 0;
  JobSync sync = pass(each, {pod("a", "f"), pod("b", "r"), pod("c", "s")});
  EXPECT_EQ(names(note_ended(sync).pods), "a b c");
  // What ran when the job failed has failed.
  EXPECT_EQ(sync.job.status.uncounted_terminated_pods->failed, (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(true_condition(sync.job.status, kJobFailureTarget));
  EXPECT_FALSE(finished_condition(sync.job));
  EXPECT_FALSE(conclude(sync));
  count_released(sync.job.status, {});
  sync.terminating = 1;
  EXPECT_FALSE(conclude(sync));
  sync.terminating = 0;
  EXPECT_TRUE(conclude(sync));
  ASSERT_TRUE(finished_condition(sync.job));
  EXPECT_EQ(finished_condition(sync.job)->message, "Job has reached the specified backoff limit");
  EXPECT_EQ(sync.job.status.failed, 2);
  EXPECT_EQ(sync.job.status.succeeded, 1);
  EXPECT_FALSE(sync.job.status.completion_time);

  JobSync good = pass(job(1, 1), {pod("c", "s"), pod("d", "t")});
  EXPECT_TRUE(is_complete(good, 0));
  good.ending = make_condition(kJobSuccessCriteriaMet, kJobReasonCompletionsReached, "m", kNow);
  EXPECT_EQ(names(note_ended(good).pods), "c d");
  EXPECT_TRUE(good.job.status.uncounted_terminated_pods->failed.empty());
  count_released(good.job.status, {});
  good.terminating = 0;
  EXPECT_TRUE(conclude(good));
  EXPECT_EQ(good.job.status.completion_time, api::Time(kNow));
}

TEST(JobTrackingTest, IgnoredFailuresAreNotCounted) {
  Job each = job(5, 5);
  each.spec.backoff_limit = 0;
  auto& rule = each.spec.pod_failure_policy.emplace().rules.emplace_back();
  rule.action = "Ignore";
  rule.on_exit_codes.emplace().operator_ = "In";
  rule.on_exit_codes->values = {1};
  JobSync sync = pass(each, {pod("a", "f")});
  EXPECT_EQ(sync.failed, 0);
  EXPECT_EQ(names(note_ended(sync).pods), "a");
  EXPECT_TRUE(sync.job.status.uncounted_terminated_pods->failed.empty());
}

TEST(JobTrackingTest, IndexesBeyondTheEndDoNotCount) {
  JobSync sync = pass(job(2, 2, true), {pod("a", "s", 5), pod("b", "f", 7), pod("c", "s"), pod("d", "s", 1)});
  EXPECT_EQ(sync.succeeded, 1);
  EXPECT_EQ(sync.failed, 0);
  EXPECT_EQ(names(note_ended(sync).pods), "a b c d");
  EXPECT_EQ(sync.job.status.completed_indexes, "1");
  EXPECT_TRUE(sync.job.status.uncounted_terminated_pods->failed.empty());
}

}  // namespace
}  // namespace trireme::controllers
