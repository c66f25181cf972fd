// The job controller on the real API server; kubelets are played by status updates.

#include "api/conditions.h"
#include "controllers/job/policies.h"
#include "controllers/support/jobs.h"
#include "controllers/support/pods.h"
#include "controllers/support/recent_writes.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using namespace api::batchv1;  // NOLINT
using api::corev1::Event;
using std::chrono::seconds;

class JobSuite : public ControllersSuite {
 protected:
  void SetUp() override {
    ControllersSuite::SetUp();
    pods_.emplace(raw());
    jobs_.emplace(raw());
    events_seen_.emplace(raw());
  }
  void TearDown() override {
    pods_.reset();
    jobs_.reset();
    events_seen_.reset();
    ControllersSuite::TearDown();
  }

  static Job job(std::optional<int32_t> completions, int32_t parallelism, bool indexed = false) {
    Job out;
    out.metadata.namespace_ = "default";
    out.metadata.name = "work";
    out.spec.completions = completions;
    out.spec.parallelism = parallelism;
    if (indexed) out.spec.completion_mode = kIndexedCompletion;
    out.spec.template_.spec.restart_policy = "Never";
    auto& container = out.spec.template_.spec.containers.emplace_back();
    container.name = "main";
    container.image = "busybox";
    return out;
  }
  std::shared_ptr<const Job> job() { return jobs_->get("default", "work"); }
  bool until_job(const std::function<bool(const Job&)>& holds) {
    return jobs_->until([&] {
      const auto now = job();
      return now && holds(*now);
    });
  }
  std::vector<PodPointer> active() {
    std::vector<PodPointer> out;
    for (const auto& each : pods_->list("default")) {
      if (is_active(*each)) out.push_back(each);
    }
    return out;
  }
  bool until_active(size_t count) {
    return pods_->until([&] { return active().size() == count; });
  }
  PodPointer active_index(int32_t index) {
    for (const auto& each : active()) {
      if (completion_index(*each) == index) return each;
    }
    return nullptr;
  }
  PodPointer await_index(int32_t index) {
    EXPECT_TRUE(pods_->until([&] { return active_index(index) != nullptr; })) << index;
    return active_index(index);
  }
  void finish(const PodPointer& pod, bool success, int32_t code = 1, std::string_view condition = {}) {
    change<Pod>(
        "default", pod->metadata.name,
        [&](Pod& each) {
          each.status.phase = success ? "Succeeded" : "Failed";
          each.status.container_statuses.clear();
          auto& container = each.status.container_statuses.emplace_back();
          container.name = "main";
          auto& terminated = container.state.terminated.emplace();
          terminated.exit_code = success ? 0 : code;
          terminated.finished_at = api::Time(clock_->now());
          if (condition.empty()) return;
          auto& added = each.status.conditions.emplace_back();
          added.type = condition;
          added.status = "True";
        },
        true);
  }
  bool until_finished(std::string_view type, std::string_view reason) {
    return until_job([&](const Job& each) {
      const auto* condition = finished_condition(each);
      return condition && condition->type == type && condition->reason == reason;
    });
  }
  bool no_finalizers() {
    return pods_->until([&] {
      return std::ranges::none_of(pods_->list("default"), [](const auto& each) { return has_tracking(*each); });
    });
  }
  static bool has_tracking(const Pod& pod) {
    return std::ranges::find(pod.metadata.finalizers, kJobTrackingFinalizer) != pod.metadata.finalizers.end();
  }
  /// How often an event of that reason tells of a job, so far.
  int count(std::string_view reason) {
    int total = 0;
    for (const auto& event : events_seen_->list("default")) {
      if (event->involved_object.kind == "Job" && event->reason == reason) total += event->count;
    }
    return total;
  }
  bool until_event(std::string_view reason, int times = 1) {
    return events_seen_->until([&] { return count(reason) >= times; });
  }

  std::optional<Watched<Pod>> pods_;
  std::optional<Watched<Job>> jobs_;
  std::optional<Watched<Event>> events_seen_;
};

TEST_F(JobSuite, RunsUntilEnoughHaveSucceeded) {
  run("job");
  const Job made = create(job(3, 2));
  EXPECT_EQ(made.spec.selector->match_labels.at(kControllerUidLabel), made.metadata.uid);
  ASSERT_TRUE(until_active(2));
  for (const auto& each : active()) {
    EXPECT_TRUE(each->metadata.name.starts_with("work-"));
    EXPECT_TRUE(has_tracking(*each));
    EXPECT_EQ(each->metadata.labels.at(kJobNameLabel), "work");
    EXPECT_EQ(each->metadata.labels.at("job-name"), "work");
    ASSERT_EQ(each->metadata.owner_references.size(), 1u);
    EXPECT_EQ(each->metadata.owner_references[0].kind, "Job");
  }
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.active == 2; }));
  set_running(active()[0]->metadata.name, "10.0.0.1");
  EXPECT_TRUE(until_job([](const Job& each) { return each.status.ready == 1; }));
  EXPECT_TRUE(job()->status.start_time);

  finish(active()[0], true);
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.succeeded == 1 && each.status.active == 2; }));
  ASSERT_TRUE(until_active(2));
  for (const auto& each : active()) finish(each, true);
  ASSERT_TRUE(until_finished("Complete", "CompletionsReached"));
  const auto done = job();
  EXPECT_EQ(done->status.succeeded, 3);
  EXPECT_EQ(done->status.failed, 0);
  EXPECT_EQ(done->status.active, 0);
  EXPECT_EQ(done->status.terminating, 0);
  EXPECT_TRUE(done->status.completion_time);
  EXPECT_EQ(finished_condition(*done)->message, "Reached expected number of succeeded pods");
  EXPECT_TRUE(true_condition(done->status, kJobSuccessCriteriaMet));
  EXPECT_TRUE(done->status.uncounted_terminated_pods->succeeded.empty());
  EXPECT_EQ(pods_->list("default").size(), 3u);
  EXPECT_TRUE(no_finalizers());
  EXPECT_TRUE(until_event("Completed"));
  EXPECT_EQ(count("SuccessfulCreate"), 3);
}

TEST_F(JobSuite, TellsOfItselfInMetrics) {
  run("job");
  Job work = job(2, 2, true);
  auto& rule = work.spec.pod_failure_policy.emplace().rules.emplace_back();
  rule.action = kPodFailurePolicyActionIgnore;
  rule.on_exit_codes.emplace().operator_ = "In";
  rule.on_exit_codes->values = {42};
  create(work);
  Job foreign = job(1, 1);
  foreign.metadata.name = "foreign";
  foreign.spec.managed_by = "example.com/queue";
  create(foreign);
  const PodPointer first = await_index(0);
  finish(first, false, 42);
  // Its place is taken after the back-off.
  ASSERT_TRUE(advance_until(*pods_, seconds(5), [&] {
    const PodPointer next = active_index(0);
    return next && next->metadata.uid != first->metadata.uid;
  }));
  finish(await_index(0), true);
  finish(await_index(1), true);
  ASSERT_TRUE(until_finished(kJobComplete, "CompletionsReached"));
  ASSERT_TRUE(no_finalizers());
  for (
      const std::string_view line : {
          R"(job_controller_jobs_finished_total{completion_mode="Indexed",result="succeeded",reason="CompletionsReached"} 1)",
          R"(job_controller_job_pods_finished_total{completion_mode="Indexed",result="succeeded"} 2)",
          R"(job_controller_job_finished_indexes_total{status="succeeded",backoffLimit="global"} 2)",
          R"(job_controller_pod_failures_handled_by_failure_policy_total{action="Ignore"} 1)",
          R"(job_controller_terminated_pods_tracking_finalizer_total{event="add"} 3)",
          R"(job_controller_terminated_pods_tracking_finalizer_total{event="delete"} 3)",
          R"(job_controller_job_pods_creation_total{reason="new",status="succeeded"} 3)",
          R"(job_controller_jobs_by_external_controller_total{controller_name="example.com/queue"} 1)",
          R"(job_controller_job_sync_duration_seconds_count{completion_mode="Indexed",result="success",action="pods_created"} 2)",
      }) {
    // The controller's own view of the pods may lag behind this one's.
    EXPECT_TRUE(pods_->until([&] { return manager_->metrics().find(line) != std::string::npos; }, seconds(5)))
        << line << "\n"
        << manager_->metrics();
  }
}

TEST_F(JobSuite, AQueueOfWorkEndsWithItsPods) {
  run("job");
  create(job(std::nullopt, 3));
  ASSERT_TRUE(until_active(3));
  finish(active()[0], true);
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.succeeded == 1 && each.status.active == 2; }));
  EXPECT_FALSE(is_finished(*job()));
  ASSERT_TRUE(until_active(2));
  const auto rest = active();
  finish(rest[0], false);
  finish(rest[1], true);
  ASSERT_TRUE(until_finished("Complete", "CompletionsReached"));
  EXPECT_EQ(job()->status.succeeded, 2);
  EXPECT_EQ(job()->status.failed, 1);
  EXPECT_EQ(pods_->list("default").size(), 3u);
}

TEST_F(JobSuite, WaitsBetweenFailuresAndGivesUp) {
  run("job");
  Job wanted = job(1, 1);
  wanted.spec.backoff_limit = 2;
  create(wanted);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(until_active(1));
    finish(active()[0], false);
    ASSERT_TRUE(until_job([&](const Job& each) { return each.status.failed == i + 1; }));
    if (i == 2) break;
    // 10 s, then 20 s.
    ASSERT_TRUE(pods_->until([&] { return active().empty(); }));
    const WallTime begin = clock_->now();
    ASSERT_TRUE(advance_until(*pods_, seconds(2), [&] { return active().size() == 1; }));
    EXPECT_GE(clock_->now() - begin, seconds((10 << i) - 2));
    EXPECT_LE(clock_->now() - begin, seconds((10 << i) + 4));
  }
  ASSERT_TRUE(until_finished("Failed", "BackoffLimitExceeded"));
  EXPECT_EQ(finished_condition(*job())->message, "Job has reached the specified backoff limit");
  EXPECT_TRUE(true_condition(job()->status, kJobFailureTarget));
  EXPECT_FALSE(job()->status.completion_time);
  EXPECT_TRUE(no_finalizers());
  EXPECT_TRUE(until_event("BackoffLimitExceeded"));
}

TEST_F(JobSuite, IndexesHaveNamesOfTheirOwn) {
  run("job");
  create(job(3, 2, true));
  ASSERT_TRUE(until_active(2));
  for (const int32_t index : {0, 1}) {
    const PodPointer each = await_index(index);
    const std::string number = std::to_string(index);
    EXPECT_TRUE(each->metadata.name.starts_with("work-" + number + "-"));
    EXPECT_EQ(each->spec.hostname, "work-" + number);
    EXPECT_EQ(each->metadata.labels.at(kJobCompletionIndexAnnotation), number);
    EXPECT_EQ(each->spec.containers[0].env.at(0).name, "JOB_COMPLETION_INDEX");
  }
  finish(await_index(1), true);
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.completed_indexes == "1"; }));
  finish(await_index(2), true);
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.completed_indexes == "1,2"; }));
  finish(await_index(0), false);
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.failed == 1; }));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(10));
  finish(await_index(0), true);
  ASSERT_TRUE(until_finished("Complete", "CompletionsReached"));
  EXPECT_EQ(job()->status.completed_indexes, "0-2");
  EXPECT_EQ(job()->status.succeeded, 3);
  EXPECT_EQ(job()->status.failed, 1);
}

TEST_F(JobSuite, EachIndexHasItsLimit) {
  run("job");
  Job wanted = job(3, 3, true);
  wanted.spec.backoff_limit_per_index = 1;
  create(wanted);
  ASSERT_TRUE(until_active(3));
  EXPECT_EQ(await_index(0)->metadata.annotations.at(kJobIndexFailureCountAnnotation), "0");
  finish(await_index(0), true);
  const PodPointer first = await_index(1);
  finish(first, false);
  // The failed pod is kept until its successor carries its failures.
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.active == 1; }));
  EXPECT_TRUE(has_tracking(*pods_->get("default", first->metadata.name)));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(10));
  const PodPointer second = await_index(1);
  EXPECT_EQ(second->metadata.annotations.at(kJobIndexFailureCountAnnotation), "1");
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.failed == 1; }));
  finish(second, false);
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.failed_indexes == "1"; }));
  finish(await_index(2), true);
  ASSERT_TRUE(until_finished("Failed", "FailedIndexes"));
  EXPECT_EQ(job()->status.completed_indexes, "0,2");
  EXPECT_EQ(job()->status.failed, 2);
  EXPECT_EQ(finished_condition(*job())->message, "Job has failed indexes");
  EXPECT_TRUE(no_finalizers());
}

TEST_F(JobSuite, TheFailurePolicyDecides) {
  run("job");
  Job wanted = job(2, 2, true);
  wanted.spec.backoff_limit = 0;
  auto& rules = wanted.spec.pod_failure_policy.emplace().rules;
  auto& ignore = rules.emplace_back();
  ignore.action = "Ignore";
  auto& pattern = ignore.on_pod_conditions.emplace_back();
  pattern.type = "DisruptionTarget";
  pattern.status = "True";
  auto& fail = rules.emplace_back();
  fail.action = "FailJob";
  fail.on_exit_codes.emplace().operator_ = "In";
  fail.on_exit_codes->values = {42};
  create(wanted);
  ASSERT_TRUE(until_active(2));
  // A disruption does not count, though there is no limit left.
  finish(await_index(0), false, 1, "DisruptionTarget");
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.active == 1; }));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(10));
  ASSERT_TRUE(until_active(2));
  EXPECT_EQ(job()->status.failed, 0);
  const std::string name = await_index(0)->metadata.name;
  finish(await_index(0), false, 42);
  ASSERT_TRUE(until_finished("Failed", "PodFailurePolicy"));
  EXPECT_EQ(finished_condition(*job())->message,
            "Container main for pod default/" + name + " failed with exit code 42 matching FailJob rule at index 1");
  EXPECT_EQ(job()->status.failed, 2);  // and the one that still ran
  EXPECT_TRUE(until_active(0));
  EXPECT_TRUE(no_finalizers());
}

TEST_F(JobSuite, TheSuccessPolicyEndsEarly) {
  run("job");
  Job wanted = job(3, 3, true);
  wanted.spec.success_policy.emplace().rules.emplace_back().succeeded_indexes = "1";
  create(wanted);
  ASSERT_TRUE(until_active(3));
  finish(await_index(1), true);
  ASSERT_TRUE(until_finished("Complete", "SuccessPolicy"));
  EXPECT_EQ(finished_condition(*job())->message, "Matched rules at index 0");
  EXPECT_EQ(job()->status.succeeded, 1);
  EXPECT_EQ(job()->status.failed, 0);
  EXPECT_TRUE(until_active(0));
}

TEST_F(JobSuite, ADeadlineEndsIt) {
  run("job");
  Job wanted = job(3, 2);
  wanted.spec.active_deadline_seconds = 30;
  create(wanted);
  ASSERT_TRUE(until_active(2));
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.active == 2; }));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(31));
  ASSERT_TRUE(until_finished("Failed", "DeadlineExceeded"));
  EXPECT_EQ(job()->status.failed, 2);
  EXPECT_TRUE(until_event("DeadlineExceeded"));
  EXPECT_EQ(count("SuccessfulDelete"), 2);
}

TEST_F(JobSuite, SuspendsAndResumes) {
  run("job");
  Job wanted = job(3, 2);
  wanted.spec.suspend = true;
  create(wanted);
  ASSERT_TRUE(until_job([](const Job& each) { return true_condition(each.status, kJobSuspended) != nullptr; }));
  EXPECT_FALSE(job()->status.start_time);
  EXPECT_TRUE(active().empty());
  change<Job>("default", "work", [](Job& each) {
    each.spec.suspend = false;
    each.spec.template_.spec.node_selector["zone"] = "a";  // allowed while it has never run
  });
  ASSERT_TRUE(until_active(2));
  EXPECT_EQ(active()[0]->spec.node_selector.at("zone"), "a");
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.active == 2 && each.status.start_time; }));
  const auto* condition = api::find_condition(job()->status.conditions, kJobSuspended);
  ASSERT_TRUE(condition);
  EXPECT_EQ(condition->status, "False");
  EXPECT_EQ(condition->reason, "JobResumed");
  const api::Time started = *job()->status.start_time;

  clock_->advance(seconds(60));
  change<Job>("default", "work", [](Job& each) { each.spec.suspend = true; });
  ASSERT_TRUE(until_active(0));
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.active == 0 && each.status.terminating == 0; }));
  EXPECT_EQ(job()->status.failed, 0);  // what was deleted on purpose has not failed
  change<Job>("default", "work", [](Job& each) { each.spec.suspend = false; });
  ASSERT_TRUE(until_active(2));
  EXPECT_TRUE(until_job([&](const Job& each) { return each.status.start_time && *each.status.start_time > started; }));
  EXPECT_TRUE(until_event("Suspended", 2));
  EXPECT_TRUE(until_event("Resumed", 2));
}

TEST_F(JobSuite, AdoptsAndReleases) {
  run("job");
  create(job(2, 2));
  ASSERT_TRUE(until_active(2));
  const std::string name = active()[0]->metadata.name;
  // As upstream's conformance test: without an owner it is adopted again, with other labels released.
  change<Pod>("default", name, [](Pod& each) { each.metadata.owner_references.clear(); });
  ASSERT_TRUE(pods_->until([&] {
    const auto each = pods_->get("default", name);
    return each->metadata.owner_references.size() == 1 && has_tracking(*each);
  }));
  change<Pod>("default", name, [](Pod& each) { each.metadata.labels.clear(); });
  ASSERT_TRUE(pods_->until([&] {
    const auto each = pods_->get("default", name);
    return each->metadata.owner_references.empty() && !has_tracking(*each) && active().size() == 3;
  }));
  EXPECT_TRUE(until_job([](const Job& each) { return each.status.active == 2; }));
  EXPECT_EQ(job()->status.failed, 0);
}

TEST_F(JobSuite, ADeletedPodIsReplacedAtOnceOrWhenItHasEnded) {
  run("job");
  for (const bool patient : {false, true}) {
    Job wanted = job(1, 1);
    if (patient) wanted.spec.pod_replacement_policy = "Failed";
    create(wanted);
    ASSERT_TRUE(until_active(1));
    change<Pod>("default", active()[0]->metadata.name, [](Pod& each) {
      each.metadata.finalizers.emplace_back("example.com/slow");  // as if it took its time to end
    });
    const std::string first = active()[0]->metadata.name;
    EXPECT_EQ(remove<Pod>("default", first).to_string(), "OK");
    if (patient) {
      ASSERT_TRUE(until_job([](const Job& each) { return each.status.terminating == 1 && each.status.active == 0; }));
      EXPECT_TRUE(active().empty());
      EXPECT_EQ(job()->status.failed, 0);
      finish(pods_->get("default", first), false);
    } else {
      // It counts as failed though it has not ended.
      ASSERT_TRUE(until_job([](const Job& each) { return each.status.failed == 1; }));
      EXPECT_EQ(job()->status.terminating, 1);
    }
    ASSERT_TRUE(until_job([](const Job& each) { return each.status.failed == 1; }));
    ASSERT_TRUE(clock_->wait_for_waiters(1));
    clock_->advance(seconds(11));
    ASSERT_TRUE(until_active(1));
    change<Pod>("default", first, [](Pod& each) { each.metadata.finalizers.clear(); });
    EXPECT_EQ(remove<Job>("default", "work", {.propagation_policy = "Background"}).to_string(), "OK");
    ASSERT_TRUE(jobs_->until([&] { return job() == nullptr; }));
    // Nobody collects garbage here; the finalizers go all the same.
    for (const auto& each : pods_->list("default")) {
      const Status gone = remove<Pod>("default", each->metadata.name);
      EXPECT_TRUE(gone.ok() || gone.is(Reason::kNotFound)) << gone.to_string();
    }
    ASSERT_TRUE(pods_->until([&] { return pods_->list("default").empty(); }));
  }
}

TEST_F(JobSuite, AnIndexedJobGrowsAndShrinks) {
  run("job");
  create(job(2, 2, true));
  ASSERT_TRUE(until_active(2));
  finish(await_index(1), true);
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.completed_indexes == "1"; }));
  const auto resize = [&](int32_t size) {
    change<Job>("default", "work", [&](Job& each) { each.spec.completions = each.spec.parallelism = size; });
  };
  resize(4);
  ASSERT_TRUE(until_active(3));
  EXPECT_TRUE(await_index(3));
  resize(1);
  ASSERT_TRUE(until_active(1));
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.completed_indexes.empty(); }));
  EXPECT_EQ(job()->status.succeeded, 0);
  finish(await_index(0), true);
  ASSERT_TRUE(until_finished("Complete", "CompletionsReached"));
  EXPECT_EQ(job()->status.failed, 0);
}

TEST_F(JobSuite, DeletingAJobTakesItsPodsAlong) {
  run("job,garbagecollector");
  create(job(2, 2));
  ASSERT_TRUE(until_active(2));
  finish(active()[0], true);
  EXPECT_EQ(remove<Job>("default", "work", {.propagation_policy = "Foreground"}).to_string(), "OK");
  EXPECT_TRUE(jobs_->until([&] { return job() == nullptr; }));
  EXPECT_TRUE(pods_->until([&] { return pods_->list("default").empty(); }));
}

TEST_F(JobSuite, AJobDeletedWithoutAWordLeavesItsPods) {
  run("job,garbagecollector");
  create(job(2, 2));
  ASSERT_TRUE(until_active(2));
  EXPECT_EQ(remove<Job>("default", "work").to_string(), "OK");
  ASSERT_TRUE(jobs_->until([&] { return job() == nullptr; }));
  EXPECT_TRUE(pods_->until([&] {
    return std::ranges::all_of(pods_->list("default"), [](const auto& each) {
      return each->metadata.owner_references.empty() && !has_tracking(*each);
    });
  }));
  EXPECT_EQ(active().size(), 2u);
}

TEST_F(JobSuite, SomebodyElsesJobIsLeftAlone) {
  run("job");
  Job wanted = job(1, 1);
  wanted.metadata.name = "foreign";
  wanted.spec.managed_by = "example.com/queue";
  create(wanted);
  create(job(1, 1));
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.active == 1; }));
  const auto foreign = jobs_->get("default", "foreign");
  ASSERT_TRUE(foreign);
  EXPECT_FALSE(foreign->status.start_time);
  ASSERT_TRUE(pods_->until([&] { return !pods_->list("default").empty(); }));
  EXPECT_EQ(pods_->list("default").size(), 1u);
}

TEST_F(JobSuite, APodThatLostItsFinalizerInACrashIsCountedAgain) {
  run("job");
  create(job(1, 1));
  ASSERT_TRUE(until_active(1));
  const std::string name = active()[0]->metadata.name;
  change<Pod>("default", name, [](Pod& each) { each.metadata.finalizers.clear(); });
  const auto changed = client().get<Pod>("default", name);
  ASSERT_TRUE(changed.ok());
  ASSERT_TRUE(pods_->until([&] {
    const auto now = pods_->get("default", name);
    const bool seen =
        version_number(now->metadata.resource_version) >= version_number(changed->metadata.resource_version);
    return seen && has_tracking(*now);
  }));
  finish(active()[0], true);
  ASSERT_TRUE(until_finished("Complete", "CompletionsReached"));
}

TEST_F(JobSuite, AQuotaThatRefusesIsTriedAgain) {
  gate_->closed = true;
  run("job");
  create(job(2, 2));
  ASSERT_TRUE(until_job([](const Job& each) { return each.status.start_time.has_value(); }));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  EXPECT_TRUE(until_event("FailedCreate"));
  EXPECT_EQ(job()->status.active, 0);
  gate_->closed = false;
  clock_->advance(seconds(60));
  EXPECT_TRUE(until_active(2));
}

}  // namespace
}  // namespace trireme::controllers
