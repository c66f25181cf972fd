// Jobs whose controller is killed after every one of its writes: no pod is ever counted twice, and none is lost.

#include "controllers/testing/restarts.h"

#include <map>
#include <mutex>

#include "api/types/batchv1.h"
#include "client/retry.h"
#include "controllers/job/indexes.h"
#include "controllers/support/jobs.h"

namespace trireme::controllers {
namespace {

using api::batchv1::Job;
using api::corev1::Pod;

Job work(int32_t completions, int32_t parallelism, bool indexed) {
  Job out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "work";
  out.spec.completions = completions;
  out.spec.parallelism = parallelism;
  out.spec.completion_mode = indexed ? "Indexed" : "NonIndexed";
  out.spec.template_.spec.restart_policy = "Never";
  auto& container = out.spec.template_.spec.containers.emplace_back();
  container.name = "main";
  container.image = "busybox";
  return out;
}

/// A kubelet under which `exit_code` (0: success) ends each pod as soon as it is bound; nothing lets it run on.
HollowKubelet::Options ending_at_once(std::function<std::optional<int32_t>(const Pod&)> exit_code) {
  HollowKubelet::Options options;
  options.run = [exit_code = std::move(exit_code)](Pod& pod) {
    const auto code = exit_code(pod);
    pod.status.phase = !code ? "Running" : *code == 0 ? "Succeeded" : "Failed";
    auto& container = pod.status.container_statuses.emplace_back();
    container.name = "main";
    if (!code) return true;
    auto& terminated = container.state.terminated.emplace();
    terminated.exit_code = *code;
    return true;
  };
  return options;
}

/// What differs from run to run: the job's UID in labels, and the random names of pods in messages.
void drop_random(api::Value& value) {
  if (value.is_array()) {
    for (api::Value& each : value.as_array()) drop_random(each);
  }
  if (!value.is_object()) return;
  std::erase_if(value.as_object(), [](const auto& member) {
    return member.first.ends_with("controller-uid") ||
           (member.first == "message" && member.second.string_or_empty().find("Container main") == 0);
  });
  for (auto& [key, each] : value.as_object()) drop_random(each);
}

void survives(Scenario scenario) {
  scenario.normalise = drop_random;
  survives_restarts(scenario);
}

Scenario::Act until_ended(const Job& job) {
  return {[=](client::Client& client) { EXPECT_TRUE(client.create(job).ok()); },
          [](client::Client& client) {
            const auto now = client.get<Job>("default", "work");
            return now.ok() && is_finished(*now);
          }};
}

/// Tells how many pods of the same job were asked about before this one, however often it is asked.
std::function<size_t(const Pod&)> nth_of_job() {
  struct Seen {
    std::mutex mutex;
    std::map<std::string, std::map<std::string, size_t>> pods;  // UIDs, by the job's
  };
  return [seen = std::make_shared<Seen>()](const Pod& pod) {
    const std::lock_guard lock(seen->mutex);
    auto& pods = seen->pods[pod.metadata.labels.at(api::batchv1::kControllerUidLabel)];
    return pods.emplace(pod.metadata.uid, pods.size()).first->second;
  };
}

TEST(JobRestarts, AnIndexedJobWithFailuresComesToTheSameEnd) {
  // Index 1 fails once, index 2 twice, which is once too often.
  Job job = work(4, 2, true);
  job.spec.backoff_limit_per_index = 1;
  survives({.controllers = "job",
            .acts = {until_ended(job)},
            .kubelet = ending_at_once([](const Pod& pod) {
              const std::string failures = pod.metadata.annotations.at(api::batchv1::kJobIndexFailureCountAnnotation);
              const int32_t index = completion_index(pod);
              return index == 2 || (index == 1 && failures == "0") ? 1 : 0;
            })});
}

TEST(JobRestarts, AJobThatGivesUpComesToTheSameEnd) {
  // The second pod of each run fails, and so do the next; one that still runs is ended.
  Job job = work(5, 1, false);
  job.spec.backoff_limit = 1;
  survives({.controllers = "job",
            .acts = {until_ended(job)},
            .kubelet = ending_at_once([nth = nth_of_job()](const Pod& pod) { return nth(pod) == 0 ? 0 : 1; })});
}

TEST(JobRestarts, APolicyThatFailsTheJobComesToTheSameEnd) {
  // The pod that fails must be the last of the three, whichever index that is: pods are made side by side, and a
  // controller that dies before it has made them all finds a job that has failed with two.
  Job job = work(3, 3, false);
  auto& rule = job.spec.pod_failure_policy.emplace().rules.emplace_back();
  rule.action = "FailJob";
  rule.on_exit_codes.emplace().operator_ = "In";
  rule.on_exit_codes->values = {42};
  const auto nth = nth_of_job();
  survives({.controllers = "job",
            .acts = {until_ended(job)},
            .kubelet = ending_at_once([=](const Pod& pod) -> std::optional<int32_t> {
              return nth(pod) == 2 ? std::optional<int32_t>(42) : std::nullopt;
            })});
}

TEST(JobRestarts, APolicyThatIsMetEarlyComesToTheSameEnd) {
  Job job = work(3, 3, true);
  job.spec.success_policy.emplace().rules.emplace_back().succeeded_indexes = "2";
  survives({.controllers = "job",
            .acts = {until_ended(job)},
            .kubelet = ending_at_once([](const Pod& pod) -> std::optional<int32_t> {
              return completion_index(pod) == 2 ? std::optional<int32_t>(0) : std::nullopt;
            })});
}

TEST(JobRestarts, SuspensionCountsNothing) {
  const auto suspend = [](bool on) {
    return [=](client::Client& client) {
      const Status done = client::retry_on_conflict(*real_clock(), [&]() -> Status {
        TRY_ASSIGN(Job fresh, client.get<Job>("default", "work"));
        fresh.spec.suspend = on;
        return client.update(fresh).status();
      });
      EXPECT_TRUE(done.ok()) << done.to_string();
    };
  };
  const auto active = [](int32_t count) {
    return [=](client::Client& client) {
      const auto now = client.get<Job>("default", "work");
      return now.ok() && now->status.active == count && now->status.terminating == 0;
    };
  };
  survives({.controllers = "job",
            .acts = {{[](client::Client& client) { EXPECT_TRUE(client.create(work(4, 2, false)).ok()); }, active(2)},
                     {suspend(true), active(0)},
                     {suspend(false), active(2)}},
            .kubelet = ending_at_once([](const Pod&) { return std::nullopt; })});
}

}  // namespace
}  // namespace trireme::controllers
