// Jobs and cron jobs.

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <tuple>

#include "api/codec.h"
#include "api/cron.h"
#include "api/selectors.h"
#include "api/time_zone.h"
#include "api/types/batchv1.h"
#include "api/validation/equal.h"
#include "api/validation/jobs.h"
#include "api/validation/meta.h"
#include "api/validation/pod.h"
#include "api/validation/rules.h"
#include "api/validation/workload.h"

namespace trireme::api::validation {
namespace {

constexpr size_t kMaxCronJobName = 52;  // leaves room for the "-" and ten digits of its jobs' names
constexpr int32_t kMaxParallelIndexed = 100000;
constexpr size_t kMaxPolicyRules = 20;
constexpr size_t kMaxExitCodes = 255;

template <typename T>
void check_optional(const std::optional<T>& value, const Path& at, ErrorList& errors) {
  if (value) check_not_negative(*value, at, errors);
}

void check_failure_policy(const batchv1::JobSpec& spec, const Path& at, ErrorList& errors) {
  if (!spec.pod_failure_policy) return;
  const Path rules = at.child("podFailurePolicy", "rules");
  const auto& list = spec.pod_failure_policy->rules;
  if (list.size() > kMaxPolicyRules) errors.too_many(rules, list.size(), kMaxPolicyRules);
  for (size_t i = 0; i < list.size(); ++i) {
    const auto& rule = list[i];
    const Path path = rules.index(i);
    errors.check_enum(path.child("action"), rule.action, {"Count", "FailIndex", "FailJob", "Ignore"});
    if (rule.action == "FailIndex" && !spec.backoff_limit_per_index) {
      errors.invalid(path.child("action"), rule.action, "requires the backoffLimitPerIndex to be set");
    }
    if (rule.on_exit_codes) {
      const Path codes = path.child("onExitCodes");
      const auto& requirement = *rule.on_exit_codes;
      errors.check_enum(codes.child("operator"), requirement.operator_, {"In", "NotIn"});
      if (requirement.values.empty()) {
        errors.invalid(codes.child("values"), BadValue::raw("[]"), "at least one value is required");
      } else if (requirement.values.size() > kMaxExitCodes) {
        errors.too_many(codes.child("values"), requirement.values.size(), kMaxExitCodes);
      }
      if (!std::ranges::is_sorted(requirement.values)) {
        errors.invalid(codes.child("values"), BadValue::raw(fmt::format("[{}]", fmt::join(requirement.values, ","))),
                       "must be ordered");
      }
      std::set<int32_t> seen;
      for (size_t v = 0; v < requirement.values.size(); ++v) {
        const int32_t value = requirement.values[v];
        if (requirement.operator_ == "In" && value == 0) {
          errors.invalid(codes.child("values").index(v), value, "must not be 0 for the In operator");
        }
        if (!seen.insert(value).second) errors.duplicate(codes.child("values").index(v), value);
      }
      if (requirement.container_name) {
        const auto& pod = spec.template_.spec;
        auto named = [&](const auto& container) { return container.name == *requirement.container_name; };
        if (std::none_of(pod.containers.begin(), pod.containers.end(), named) &&
            std::none_of(pod.init_containers.begin(), pod.init_containers.end(), named)) {
          errors.invalid(codes.child("containerName"), *requirement.container_name,
                         "must be one of the container or initContainer names in the pod template");
        }
      }
    }
    if (rule.on_pod_conditions.size() > kMaxPolicyRules) {
      errors.too_many(path.child("onPodConditions"), rule.on_pod_conditions.size(), kMaxPolicyRules);
    }
    for (size_t p = 0; p < rule.on_pod_conditions.size(); ++p) {
      const Path pattern = path.child("onPodConditions").index(p);
      check_qualified_name(rule.on_pod_conditions[p].type, pattern.child("type"), errors);
      errors.check_enum(pattern.child("status"), rule.on_pod_conditions[p].status, {"False", "True", "Unknown"});
    }
    if (rule.on_exit_codes && !rule.on_pod_conditions.empty()) {
      errors.invalid(path, not_shown(), "specifying both OnExitCodes and OnPodConditions is not supported");
    }
    if (!rule.on_exit_codes && rule.on_pod_conditions.empty()) {
      errors.invalid(path, not_shown(), "specifying one of OnExitCodes and OnPodConditions is required");
    }
  }
}

void check_failed_index_limits(const batchv1::JobSpec& spec, const Path& at, ErrorList& errors) {
  constexpr int32_t kMaxFailed = 100000;
  constexpr int32_t kManyCompletions = 100000;
  constexpr int32_t kMaxWithMany = 10000;
  const Path path = at.child("maxFailedIndexes");
  const auto& failed = spec.max_failed_indexes;
  if (failed && spec.completions && *failed > *spec.completions) {
    errors.invalid(path, *failed, "must be less than or equal to completions");
  }
  if (failed && *failed > kMaxFailed) {
    errors.invalid(path, *failed, fmt::format("must be less than or equal to {}", kMaxFailed));
  }
  if (spec.completions.value_or(0) <= kManyCompletions || !spec.backoff_limit_per_index) return;
  const std::string limit = fmt::format(
      "must be less than or equal to {} when completions are above {} and used with backoff limit per index",
      kMaxWithMany, kManyCompletions);
  if (!failed) {
    errors.required(path, fmt::format("must be specified when completions is above {}", kManyCompletions));
  }
  if (spec.parallelism.value_or(0) > kMaxWithMany) errors.invalid(at.child("parallelism"), *spec.parallelism, limit);
  if (failed && *failed > kMaxWithMany) errors.invalid(path, *failed, limit);
}

void check_success_policy(const batchv1::JobSpec& spec, const Path& at, ErrorList& errors) {
  constexpr size_t kLongest = 65536;
  if (!spec.success_policy) return;
  const Path path = at.child("rules");
  const auto& rules = spec.success_policy->rules;
  const int32_t completions = spec.completions.value_or(0);
  if (rules.empty()) {
    errors.required(path, "at least one rules must be specified when the successPolicy is specified");
  }
  if (rules.size() > kMaxPolicyRules) errors.too_many(path, rules.size(), kMaxPolicyRules);
  for (size_t i = 0; i < rules.size(); ++i) {
    const auto& [indexes, count] = std::tie(rules[i].succeeded_indexes, rules[i].succeeded_count);
    const Path rule = path.index(i);
    if (!count && !indexes) {
      errors.required(rule, "at least one of succeededCount or succeededIndexes must be specified");
    }
    int32_t named = 0;
    if (indexes) {
      const Path at_indexes = rule.child("succeededIndexes");
      if (indexes->size() > kLongest) errors.too_long(at_indexes, kLongest);
      const auto counted = count_indexes(*indexes, completions);
      if (counted.ok()) {
        named = *counted;
      } else {
        errors.invalid(at_indexes, *indexes, "error parsing succeededIndexes: " + counted.status().message());
      }
    }
    if (!count) continue;
    const Path at_count = rule.child("succeededCount");
    check_not_negative(*count, at_count, errors);
    if (*count > completions) {
      errors.invalid(
          at_count, *count,
          fmt::format("must be less than or equal to {} (the number of specified completions)", completions));
    }
    if (indexes && *count > named) {
      errors.invalid(at_count, *count,
                     fmt::format("must be less than or equal to {} (the number of indexes in the specified "
                                 "succeededIndexes field)",
                                 named));
    }
  }
}

/// What a Job's specification and a CronJob's template share.
void check_job_spec(const batchv1::JobSpec& spec, const Path& at, ErrorList& errors) {
  check_optional(spec.parallelism, at.child("parallelism"), errors);
  check_optional(spec.completions, at.child("completions"), errors);
  check_optional(spec.active_deadline_seconds, at.child("activeDeadlineSeconds"), errors);
  check_optional(spec.backoff_limit, at.child("backoffLimit"), errors);
  check_optional(spec.ttl_seconds_after_finished, at.child("ttlSecondsAfterFinished"), errors);
  check_optional(spec.backoff_limit_per_index, at.child("backoffLimitPerIndex"), errors);
  check_optional(spec.max_failed_indexes, at.child("maxFailedIndexes"), errors);
  if (spec.max_failed_indexes && !spec.backoff_limit_per_index) {
    errors.required(at.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
  }
  if (spec.managed_by) check_managed_by(*spec.managed_by, at.child("managedBy"), errors);
  const bool indexed = spec.completion_mode.value_or("") == "Indexed";
  if (spec.completion_mode && !indexed && *spec.completion_mode != "NonIndexed") {
    errors.not_supported(at.child("completionMode"), *spec.completion_mode, {"NonIndexed", "Indexed"});
  }
  if (indexed) {
    if (!spec.completions) errors.required(at.child("completions"), "when completion mode is Indexed");
    if (spec.parallelism.value_or(0) > kMaxParallelIndexed) {
      errors.invalid(
          at.child("parallelism"), *spec.parallelism,
          fmt::format("must be less than or equal to {} when completion mode is Indexed", kMaxParallelIndexed));
    }
    check_failed_index_limits(spec, at, errors);
    check_success_policy(spec, at.child("successPolicy"), errors);
  } else {
    if (spec.backoff_limit_per_index) {
      errors.invalid(at.child("backoffLimitPerIndex"), *spec.backoff_limit_per_index,
                     "requires indexed completion mode");
    }
    if (spec.max_failed_indexes) {
      errors.invalid(at.child("maxFailedIndexes"), *spec.max_failed_indexes, "requires indexed completion mode");
    }
    if (spec.success_policy) {
      errors.invalid(at.child("successPolicy"), BadValue::raw(encode_json(*spec.success_policy)),
                     "requires indexed completion mode");
    }
  }
  check_failure_policy(spec, at, errors);
  const Path restart = at.child("template", "spec", "restartPolicy");
  const std::string& policy = spec.template_.spec.restart_policy;
  check_pod_template(spec.template_, at.child("template"), errors);
  if (policy == "Always" || policy.empty()) {
    errors.required(restart, "valid values: \"OnFailure\", \"Never\"");
  } else if (policy != "OnFailure" && policy != "Never") {
    errors.not_supported(restart, policy, {"OnFailure", "Never"});
  } else if (spec.pod_failure_policy && policy != "Never") {
    errors.invalid(restart, policy, "only \"Never\" is supported when podFailurePolicy is specified");
  }
  if (spec.pod_replacement_policy) {
    const std::string& replacement = *spec.pod_replacement_policy;
    const Path path = at.child("podReplacementPolicy");
    if (spec.pod_failure_policy && replacement != "Failed") {
      errors.not_supported(path, replacement, {"Failed"});
    } else if (replacement != "Failed" && replacement != "TerminatingOrFailed") {
      errors.not_supported(path, replacement, {"Failed", "TerminatingOrFailed"});
    }
  }
}

/// What the server generates must not contradict what the user gave (such as the labels of another job that was
/// copied).
void check_generated_selector(const batchv1::Job& object, ErrorList& errors) {
  if (object.spec.manual_selector.value_or(false) || !object.spec.selector) return;
  const Path labels("spec.template.metadata.labels");
  const auto& given = object.spec.template_.metadata.labels;
  const std::pair<std::string_view, const std::string&> wanted[] = {{"controller-uid", object.metadata.uid},
                                                                    {"job-name", object.metadata.name},
                                                                    {batchv1::kControllerUidLabel, object.metadata.uid},
                                                                    {batchv1::kJobNameLabel, object.metadata.name}};
  Map<std::string> expected;
  for (const auto& [key, value] : wanted) {
    expected.insert_or_assign(key, value);
    const auto found = given.find(key);
    if (found == given.end()) {
      errors.required(labels.key(key), fmt::format("must be '{}'", value));
    } else if (found->second != value) {
      errors.invalid(labels.key(key), shown_labels(given), fmt::format("must be '{}'", value));
    }
  }
  const Result<LabelSelector> parsed = LabelSelector::from(*object.spec.selector);
  if (parsed.ok() && !parsed->matches(expected)) {
    errors.invalid(Path("spec.selector"), shown_selector(*object.spec.selector), "`selector` not auto-generated");
  }
}

void job_create(const batchv1::Job& object, ErrorList& errors) {
  const Path at("spec");
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  check_generated_selector(object, errors);
  check_job_spec(object.spec, at, errors);
  const auto& spec = object.spec;
  if (!spec.selector) {
    errors.required(at.child("selector"));
  } else {
    check_selector(*spec.selector, at.child("selector"), errors);
    const Result<LabelSelector> parsed = LabelSelector::from(*spec.selector);
    if (parsed.ok() && !parsed->matches(spec.template_.metadata.labels)) {
      errors.invalid(at.child("template", "metadata", "labels"), shown_labels(spec.template_.metadata.labels),
                     "`selector` does not match template `labels`");
    }
  }
  if (spec.completion_mode.value_or("") == "Indexed" && spec.completions.value_or(0) > 0) {
    // The pods' host names carry the index.
    const std::string last = fmt::format("{}-{}", object.metadata.name, *spec.completions - 1);
    for (const auto& problem : name_problems(NameRule::kLabel, last)) {
      errors.invalid(Path("metadata.name"), object.metadata.name,
                     fmt::format("will not able to create pod with invalid DNS label {}: {}", go_quote(last), problem));
      break;
    }
  }
}

template <typename T>
void check_same(const T& updated, const T& old, const Path& at, ErrorList& errors) {
  if (!semantic_equal(updated, old)) errors.invalid(at, BadValue::raw(encode_json(updated)), kImmutable);
}

template <typename T>
void check_same(const Box<T>& updated, const Box<T>& old, const Path& at, ErrorList& errors) {
  const bool same = updated.has_value() == old.has_value() && (!updated || semantic_equal(*updated, *old));
  if (!same) errors.invalid(at, BadValue::raw(updated ? encode_json(*updated) : "null"), kImmutable);
}

/// The template stays, except for where a suspended job that never ran shall run (KEP-2926).
void check_job_template_update(const batchv1::Job& updated, const batchv1::Job& old, const Path& at,
                               ErrorList& errors) {
  corev1::PodTemplateSpec before = old.spec.template_;
  const bool suspended = old.spec.suspend.value_or(false);
  if (suspended && !old.status.start_time) {
    const auto& now = updated.spec.template_;
    before.metadata.labels = now.metadata.labels;
    before.metadata.annotations = now.metadata.annotations;
    before.spec.node_selector = now.spec.node_selector;
    before.spec.tolerations = now.spec.tolerations;
    before.spec.scheduling_gates = now.spec.scheduling_gates;
    if (now.spec.affinity && now.spec.affinity->node_affinity) {
      before.spec.affinity.ensure().node_affinity = now.spec.affinity->node_affinity;
    } else if (before.spec.affinity) {
      before.spec.affinity->node_affinity.reset();
      if (!now.spec.affinity) before.spec.affinity.reset();
    }
  }
  check_same(updated.spec.template_, before, at.child("template"), errors);
}

void job_update(const batchv1::Job& updated, const batchv1::Job& old, ErrorList& errors) {
  const Path at("spec");
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_job_spec(updated.spec, at, errors);
  const auto& now = updated.spec;
  const auto& before = old.spec;
  if (now.completions != before.completions) {
    const BadValue shown = now.completions ? BadValue(*now.completions) : BadValue::raw("null");
    // An indexed job may grow and shrink as long as all its pods run at once (KEP-3715).
    if (now.completion_mode.value_or("") != "Indexed") {
      errors.invalid(at.child("completions"), shown, kImmutable);
    } else if (now.completions && now.completions != now.parallelism) {
      errors.invalid(at.child("completions"), shown, "can only be modified in tandem with spec.parallelism");
    }
  }
  check_same_selector(now.selector, before.selector, at.child("selector"), errors);
  check_job_template_update(updated, old, at, errors);
  auto shown_text = [](const Box<std::string>& text) { return text ? BadValue(*text) : BadValue::raw("null"); };
  check_immutable(now.completion_mode, before.completion_mode, at.child("completionMode"), errors,
                  shown_text(now.completion_mode));
  check_same(now.pod_failure_policy, before.pod_failure_policy, at.child("podFailurePolicy"), errors);
  check_same(now.success_policy, before.success_policy, at.child("successPolicy"), errors);
  check_immutable(now.backoff_limit_per_index, before.backoff_limit_per_index, at.child("backoffLimitPerIndex"), errors,
                  now.backoff_limit_per_index ? BadValue(*now.backoff_limit_per_index) : BadValue::raw("null"));
  check_immutable(now.managed_by, before.managed_by, at.child("managedBy"), errors, shown_text(now.managed_by));
}

void job_status(const batchv1::Job& updated, const batchv1::Job& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_job_status(updated, old, Path("status"), errors);
}

/// Whether `name` looks like a zone's; a path that leaves the database's folder does not.
bool plausible_zone(std::string_view name) {
  for (size_t start = 0; start <= name.size();) {
    const size_t end = std::min(name.find('/', start), name.size());
    const std::string_view part = name.substr(start, end - start);
    const bool fits = !part.empty() && part.size() <= 14 && part != "." && part != ".." && part.front() != '-' &&
                      std::ranges::all_of(part, [](unsigned char c) {
                        return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == '+';
                      });
    if (!fits) return false;
    start = end + 1;
  }
  return true;
}

void check_time_zone(const std::string& name, const Path& at, ErrorList& errors) {
  constexpr std::string_view kLocal = "local";
  if (name.empty()) {
    errors.invalid(at, name, "timeZone must be nil or non-empty string");
  } else if (!plausible_zone(name)) {
    errors.invalid(at, name, "unknown time zone " + name);
  } else if (std::ranges::equal(name, kLocal, [](unsigned char a, char b) { return std::tolower(a) == b; })) {
    errors.invalid(at, name, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
  } else if (const auto zone = TimeZone::load(name); !zone.ok()) {
    errors.invalid(at, name, zone.status().message());
  }
}

void cron_job_spec(const batchv1::CronJobSpec& spec, const batchv1::CronJobSpec* old, ErrorList& errors) {
  const Path at("spec");
  const Path schedule = at.child("schedule");
  if (spec.schedule.empty()) {
    errors.required(schedule);
  } else {
    if (const auto parsed = CronSchedule::parse(spec.schedule); !parsed.ok()) {
      errors.invalid(schedule, spec.schedule, parsed.status().message());
    }
    // Zones inside schedules were possible once: what has one may keep it.
    const bool zoned = spec.schedule.find("TZ") != std::string::npos;
    const bool allowed = old != nullptr && old->schedule.find("TZ") != std::string::npos;
    if (zoned && !allowed) {
      errors.invalid(schedule, spec.schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    } else if (zoned && spec.time_zone) {
      errors.invalid(schedule, spec.schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
    }
  }
  check_optional(spec.starting_deadline_seconds, at.child("startingDeadlineSeconds"), errors);
  if (spec.time_zone && (old == nullptr || old->time_zone != spec.time_zone))
    check_time_zone(*spec.time_zone, at.child("timeZone"), errors);
  errors.check_enum(at.child("concurrencyPolicy"), spec.concurrency_policy, {"Allow", "Forbid", "Replace"});
  check_optional(spec.successful_jobs_history_limit, at.child("successfulJobsHistoryLimit"), errors);
  check_optional(spec.failed_jobs_history_limit, at.child("failedJobsHistoryLimit"), errors);
  const Path job = at.child("jobTemplate", "spec");
  const auto& job_spec = spec.job_template.spec;
  if (job_spec.selector) {
    errors.invalid(job.child("selector"), shown_selector(*job_spec.selector), "`selector` will be auto-generated");
  }
  if (job_spec.manual_selector.value_or(false)) {
    errors.not_supported(job.child("manualSelector"), true, {"nil", "false"});
  }
  check_job_spec(job_spec, job, errors);
}

void cron_job_create(const batchv1::CronJob& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  cron_job_spec(object.spec, nullptr, errors);
  if (object.metadata.name.size() > kMaxCronJobName) {
    errors.invalid(Path("metadata.name"), object.metadata.name, "must be no more than 52 characters");
  }
}

void cron_job_update(const batchv1::CronJob& updated, const batchv1::CronJob& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  cron_job_spec(updated.spec, &old.spec, errors);
}

}  // namespace

std::span<const KindRules> batch_rules() {
  static const KindRules kRules[] = {
      kind_rules<batchv1::Job, job_create, job_update, job_status>(),
      kind_rules<batchv1::CronJob, cron_job_create, cron_job_update>(),
  };
  return kRules;
}

}  // namespace trireme::api::validation
