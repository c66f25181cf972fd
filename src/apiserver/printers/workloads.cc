// apps, batch, autoscaling and policy.

#include <fmt/format.h>

#include <algorithm>

#include "api/types/appsv1.h"
#include "api/types/autoscalingv1.h"
#include "api/types/autoscalingv2.h"
#include "api/types/batchv1.h"
#include "api/types/policyv1.h"
#include "apiserver/printers/row.h"

namespace trireme::apiserver::printers {
namespace {

using namespace api;  // NOLINT: kinds of four groups

constexpr std::string_view kNames = "Names of each container in the template.";
constexpr std::string_view kImages = "Images referenced by each container in the template.";
constexpr std::string_view kSelects = "A label query over the pods that belong to the object.";

constexpr Column kReplicaSetColumns[] = {{"Name"},
                                         {"Desired", "integer", 0, "The number of desired pods."},
                                         {"Current", "integer", 0, "The most recently observed number of pods."},
                                         {"Ready", "integer", 0, "The number of ready pods."},
                                         {"Age"},
                                         {"Containers", "string", 1, kNames},
                                         {"Images", "string", 1, kImages},
                                         {"Selector", "string", 1, kSelects}};

void print_replica_set(const appsv1::ReplicaSet& object, Row& row) {
  row.text(object.metadata.name)
      .number(object.spec.replicas.value_or(0))
      .number(object.status.replicas)
      .number(object.status.ready_replicas)
      .age(object.metadata)
      .containers(object.spec.template_.spec.containers)
      .text(format_selector(object.spec.selector));
}

constexpr Column kDeploymentColumns[] = {
    {"Name"},
    {"Ready", "string", 0, "Number of the pod with ready state"},
    {"Up-to-date", "string", 0, "The number of pods that have the desired template."},
    {"Available", "string", 0, "The number of pods that have been ready for long enough."},
    {"Age"},
    {"Containers", "string", 1, kNames},
    {"Images", "string", 1, kImages},
    {"Selector", "string", 1, kSelects}};

void print_deployment(const appsv1::Deployment& object, Row& row) {
  row.text(object.metadata.name)
      .text(fmt::format("{}/{}", object.status.ready_replicas, object.spec.replicas.value_or(0)))
      .number(object.status.updated_replicas)
      .number(object.status.available_replicas)
      .age(object.metadata)
      .containers(object.spec.template_.spec.containers)
      .text(format_selector(object.spec.selector));
}

constexpr Column kStatefulSetColumns[] = {{"Name"},
                                          {"Ready", "string", 0, "Number of the pod with ready state"},
                                          {"Age"},
                                          {"Containers", "string", 1, kNames},
                                          {"Images", "string", 1, kImages}};

void print_stateful_set(const appsv1::StatefulSet& object, Row& row) {
  row.text(object.metadata.name)
      .text(fmt::format("{}/{}", object.status.ready_replicas, object.spec.replicas.value_or(0)))
      .age(object.metadata)
      .containers(object.spec.template_.spec.containers);
}

constexpr Column kDaemonSetColumns[] = {{"Name"},
                                        {"Desired", "integer", 0, "The number of nodes that should run the pod."},
                                        {"Current", "integer", 0, "The number of those nodes that run it."},
                                        {"Ready", "integer", 0, "The number of nodes on which the pod is ready."},
                                        {"Up-to-date", "integer", 0, "The number of nodes that run the latest pod."},
                                        {"Available", "integer", 0, "The number of nodes with an available pod."},
                                        {"Node Selector", "string", 0, "Labels that the pod's nodes must have."},
                                        {"Age"},
                                        {"Containers", "string", 1, kNames},
                                        {"Images", "string", 1, kImages},
                                        {"Selector", "string", 1, kSelects}};

void print_daemon_set(const appsv1::DaemonSet& object, Row& row) {
  const auto& status = object.status;
  row.text(object.metadata.name)
      .number(status.desired_number_scheduled)
      .number(status.current_number_scheduled)
      .number(status.number_ready)
      .number(status.updated_number_scheduled)
      .number(status.number_available)
      .text(format_labels(object.spec.template_.spec.node_selector))
      .age(object.metadata)
      .containers(object.spec.template_.spec.containers)
      .text(format_selector(object.spec.selector));
}

constexpr Column kRevisionColumns[] = {{"Name"},
                                       {"Controller", "string", 0, "Controller of the object"},
                                       {"Revision", "string", 0, "The revision of the state that is kept."},
                                       {"Age"}};

void print_revision(const appsv1::ControllerRevision& object, Row& row) {
  std::string owner = "<none>";
  for (const auto& reference : object.metadata.owner_references) {
    if (!reference.controller.value_or(false)) continue;
    const size_t slash = reference.api_version.find('/');
    owner = reference.kind;
    std::transform(owner.begin(), owner.end(), owner.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (slash != std::string::npos) owner += "." + reference.api_version.substr(0, slash);
    owner += "/" + reference.name;
  }
  row.text(object.metadata.name).text(owner).number(object.revision).age(object.metadata);
}

constexpr Column kJobColumns[] = {{"Name"},
                                  {"Status", "string", 0, "Status of the job."},
                                  {"Completions", "string", 0, "How many pods finished successfully."},
                                  {"Duration", "string", 0, "Time required to complete the job."},
                                  {"Age"},
                                  {"Containers", "string", 1, kNames},
                                  {"Images", "string", 1, kImages},
                                  {"Selector", "string", 1, kSelects}};

void print_job(const batchv1::Job& object, Row& row) {
  const auto& status = object.status;
  auto has = [&](std::string_view type) {
    return std::any_of(status.conditions.begin(), status.conditions.end(),
                       [&](const auto& condition) { return condition.type == type && condition.status == "True"; });
  };
  std::string completions = fmt::format("{}/{}", status.succeeded, object.spec.completions.value_or(1));
  if (const int32_t parallel = object.spec.parallelism.value_or(0); !object.spec.completions && parallel > 1) {
    completions += fmt::format(" of {}", parallel);
  }
  std::string duration;
  if (status.start_time) {
    const WallTime end = status.completion_time ? status.completion_time->wall() : row.now();
    duration = human_duration(end - status.start_time->wall());
  }
  const std::string_view word = has("Complete")                      ? "Complete"
                                : has("Failed")                      ? "Failed"
                                : object.metadata.deletion_timestamp ? "Terminating"
                                : has("Suspended")                   ? "Suspended"
                                : has("FailureTarget")               ? "FailureTarget"
                                                                     : "Running";
  row.text(object.metadata.name)
      .text(word)
      .text(completions)
      .text(duration)
      .age(object.metadata)
      .containers(object.spec.template_.spec.containers)
      .text(format_selector(object.spec.selector));
}

constexpr Column kCronJobColumns[] = {{"Name"},
                                      {"Schedule", "string", 0, "The schedule in Cron format."},
                                      {"Timezone", "string", 0, "The time zone of the schedule."},
                                      {"Suspend", "boolean", 0, "Whether no more jobs are started."},
                                      {"Active", "integer", 0, "The number of running jobs."},
                                      {"Last Schedule", "string", 0, "When a job was last started."},
                                      {"Age"},
                                      {"Containers", "string", 1, kNames},
                                      {"Images", "string", 1, kImages},
                                      {"Selector", "string", 1, kSelects}};

void print_cron_job(const batchv1::CronJob& object, Row& row) {
  const auto& spec = object.spec;
  row.text(object.metadata.name)
      .text(spec.schedule)
      .text_or_none(spec.time_zone.value_or(""))
      .text(!spec.suspend   ? "<unset>"
            : *spec.suspend ? "True"
                            : "False")
      .number(static_cast<int64_t>(object.status.active.size()))
      .text(object.status.last_schedule_time ? row.ago(*object.status.last_schedule_time) : "<none>")
      .age(object.metadata)
      .containers(spec.job_template.spec.template_.spec.containers)
      .text(format_selector(spec.job_template.spec.selector));
}

constexpr Column kAutoscalerColumns[] = {{"Name"},
                                         {"Reference", "string", 0, "The object that is scaled."},
                                         {"Targets", "string", 0, "Current and target value of each metric."},
                                         {"MinPods", "string", 0, "The lower limit of replicas."},
                                         {"MaxPods", "string", 0, "The upper limit of replicas."},
                                         {"Replicas", "string", 0, "The current number of replicas."},
                                         {"Age"}};

/// "cpu: 10%/80%", or an amount where the target is one.
std::string metric_text(const autoscalingv2::MetricTarget& target, const autoscalingv2::MetricValueStatus* current,
                        std::string_view average_suffix) {
  if (target.average_value) {
    const bool known = current != nullptr && current->average_value;
    return fmt::format("{}/{}{}", known ? current->average_value->to_string() : "<unknown>",
                       target.average_value->to_string(), average_suffix);
  }
  if (target.value) {
    const bool known = current != nullptr && current->value;
    return fmt::format("{}/{}", known ? current->value->to_string() : "<unknown>", target.value->to_string());
  }
  const std::string now = current != nullptr && current->average_utilization
                              ? fmt::format("{}%", *current->average_utilization)
                              : "<unknown>";
  return target.average_utilization ? fmt::format("{}/{}%", now, *target.average_utilization) : now + "/<auto>";
}

std::string metrics_text(const std::vector<autoscalingv2::MetricSpec>& specs,
                         const std::vector<autoscalingv2::MetricStatus>& statuses) {
  if (specs.empty()) return "<none>";
  std::vector<std::string> list;
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto& spec = specs[i];
    const auto* status = i < statuses.size() ? &statuses[i] : nullptr;
    auto add = [&](const auto& part, const auto& current, std::string_view prefix, std::string_view suffix) {
      if (!part) return;
      list.push_back(std::string(prefix) + metric_text(part->target, current, suffix));
    };
    auto current_of = [&](auto member) -> const autoscalingv2::MetricValueStatus* {
      if (status == nullptr || !(status->*member)) return nullptr;
      return &(status->*member)->current;
    };
    using S = autoscalingv2::MetricStatus;
    if (spec.resource) add(spec.resource, current_of(&S::resource), spec.resource->name + ": ", "");
    if (spec.container_resource) {
      add(spec.container_resource, current_of(&S::container_resource), spec.container_resource->name + ": ", "");
    }
    add(spec.pods, current_of(&S::pods), "", "");
    add(spec.object, current_of(&S::object), "", " (avg)");
    add(spec.external, current_of(&S::external), "", " (avg)");
  }
  const size_t count = list.size();
  list.resize(std::min<size_t>(count, 2));
  std::string out = join(list, ", ");
  return count > 2 ? fmt::format("{} + {} more...", out, count - 2) : out;
}

std::string reference_text(const std::string& kind, const std::string& name) { return kind + "/" + name; }

void print_autoscaler(const autoscalingv2::HorizontalPodAutoscaler& object, Row& row) {
  const auto& spec = object.spec;
  row.text(object.metadata.name)
      .text(reference_text(spec.scale_target_ref.kind, spec.scale_target_ref.name))
      .text(metrics_text(spec.metrics, object.status.current_metrics))
      .text(spec.min_replicas ? std::to_string(*spec.min_replicas) : "<unset>")
      .number(spec.max_replicas)
      .number(object.status.current_replicas)
      .age(object.metadata);
}

void print_autoscaler_v1(const autoscalingv1::HorizontalPodAutoscaler& object, Row& row) {
  const auto& spec = object.spec;
  const auto& current = object.status.current_cpu_utilization_percentage;
  std::string targets = "<none>";
  if (spec.target_cpu_utilization_percentage) {
    targets = fmt::format("cpu: {}/{}%", current ? fmt::format("{}%", *current) : "<unknown>",
                          *spec.target_cpu_utilization_percentage);
  }
  row.text(object.metadata.name)
      .text(reference_text(spec.scale_target_ref.kind, spec.scale_target_ref.name))
      .text(targets)
      .text(spec.min_replicas ? std::to_string(*spec.min_replicas) : "<unset>")
      .number(spec.max_replicas)
      .number(object.status.current_replicas)
      .age(object.metadata);
}

constexpr Column kScaleColumns[] = {{"Name"},
                                    {"Desired", "integer", 0, "The number of replicas that are wanted."},
                                    {"Available", "integer", 0, "The number of replicas that there are."},
                                    {"Age"}};

void print_scale(const autoscalingv1::Scale& object, Row& row) {
  row.text(object.metadata.name).number(object.spec.replicas).number(object.status.replicas).age(object.metadata);
}

constexpr Column kBudgetColumns[] = {
    {"Name"},
    {"Min Available", "string", 0, "The minimum number of pods that must be available."},
    {"Max Unavailable", "string", 0, "The maximum number of pods that may be unavailable."},
    {"Allowed Disruptions", "integer", 0, "Calculated number of pods that may be disrupted at this time."},
    {"Age"}};

void print_budget(const policyv1::PodDisruptionBudget& object, Row& row) {
  auto amount = [](const std::optional<IntOrString>& value) { return value ? value->to_string() : "N/A"; };
  row.text(object.metadata.name)
      .text(amount(object.spec.min_available))
      .text(amount(object.spec.max_unavailable))
      .number(object.status.disruptions_allowed)
      .age(object.metadata);
}

}  // namespace

std::span<const Printer> workload_printers() {
  static const Printer kAll[] = {
      printer<appsv1::ReplicaSet, print_replica_set>(kReplicaSetColumns),
      printer<appsv1::Deployment, print_deployment>(kDeploymentColumns),
      printer<appsv1::StatefulSet, print_stateful_set>(kStatefulSetColumns),
      printer<appsv1::DaemonSet, print_daemon_set>(kDaemonSetColumns),
      printer<appsv1::ControllerRevision, print_revision>(kRevisionColumns),
      printer<batchv1::Job, print_job>(kJobColumns),
      printer<batchv1::CronJob, print_cron_job>(kCronJobColumns),
      printer<autoscalingv2::HorizontalPodAutoscaler, print_autoscaler>(kAutoscalerColumns),
      printer<autoscalingv1::HorizontalPodAutoscaler, print_autoscaler_v1>(kAutoscalerColumns),
      printer<autoscalingv1::Scale, print_scale>(kScaleColumns),
      printer<policyv1::PodDisruptionBudget, print_budget>(kBudgetColumns),
  };
  return kAll;
}

}  // namespace trireme::apiserver::printers
