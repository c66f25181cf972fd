#include "api/validation/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "api/names.h"
#include "api/validation/equal.h"
#include "api/validation/meta.h"
#include "api/validation/rules.h"

namespace trireme::api::validation {
namespace {

using batchv1::Job;

bool is_true(const Job& job, std::string_view type) {
  return std::ranges::any_of(job.status.conditions, [&](const auto& condition) {
    return condition.type == type && condition.status == corev1::kConditionTrue;
  });
}

bool is_complete(const Job& job) { return is_true(job, batchv1::kJobComplete); }
bool is_failed(const Job& job) { return is_true(job, batchv1::kJobFailed); }
bool is_ended(const Job& job) { return is_complete(job) || is_failed(job); }

Result<int32_t> parse_index(std::string_view text, int32_t completions) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Status::bad_request(fmt::format("cannot convert string to integer for index: {}", go_quote(text)));
  }
  if (value >= completions) return Status::bad_request(fmt::format("too large index: {}", go_quote(text)));
  return static_cast<int32_t>(value);
}

struct Interval {
  int32_t first;
  int32_t last;
};

Result<Interval> parse_interval(std::string_view text, int32_t completions) {
  const size_t dash = text.find('-');
  if (dash != std::string_view::npos && text.find('-', dash + 1) != std::string_view::npos) {
    return Status::bad_request(fmt::format(
        "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
        go_quote(text)));
  }
  TRY_ASSIGN(const int32_t first, parse_index(text.substr(0, dash), completions));
  if (dash == std::string_view::npos) return Interval{first, first};
  TRY_ASSIGN(const int32_t last, parse_index(text.substr(dash + 1), completions));
  if (first >= last) {
    return Status::bad_request(fmt::format("non-increasing order, previous: {}, current: {}", first, last));
  }
  return Interval{first, last};
}

/// Each readable interval of the list; false from `each` ends it.
Status for_each_interval(std::string_view text, int32_t completions, const auto& each) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    const bool last = part.size() == text.size();
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    TRY_ASSIGN(const Interval interval, parse_interval(part, completions));
    TRY(each(interval));
    if (!last && text.empty()) return parse_interval("", completions).status();
  }
  return {};
}

/// The first index that is in both lists; -1 when none is, or a list cannot be read.
int32_t overlap(std::string_view a, std::string_view b, int32_t completions) {
  std::vector<Interval> taken;
  const auto take = [&](const Interval& interval) { return taken.push_back(interval), Status(); };
  if (!for_each_interval(a, completions, take).ok()) return -1;
  int32_t found = -1;
  const Status read = for_each_interval(b, completions, [&](const Interval& interval) {
    for (const Interval& other : taken) {
      if (found < 0 && interval.first <= other.last && other.first <= interval.last) {
        found = std::max(interval.first, other.first);
      }
    }
    return Status();
  });
  return read.ok() ? found : -1;
}

void check_uncounted(const batchv1::UncountedTerminatedPods& uncounted, const Path& at, ErrorList& errors) {
  std::set<std::string_view> seen;
  const std::pair<const char*, const std::vector<std::string>&> lists[] = {{"succeeded", uncounted.succeeded},
                                                                           {"failed", uncounted.failed}};
  for (const auto& [name, list] : lists) {
    for (size_t i = 0; i < list.size(); ++i) {
      const Path item = at.child(name).index(i);
      if (list[i].empty()) {
        errors.invalid(item, list[i], "must not be empty");
      } else if (!seen.insert(list[i]).second) {
        errors.duplicate(item, list[i]);
      }
    }
  }
}

void check_conditions(const Job& updated, const Job& old, const Path& at, ErrorList& errors) {
  const auto refuse = [&](std::string_view detail) { errors.invalid(at, not_shown(), detail); };
  const auto changed = [&](std::string_view type) { return is_true(updated, type) != is_true(old, type); };
  const bool complete = is_complete(updated);
  const bool failed = is_failed(updated);
  const bool met = is_true(updated, batchv1::kJobSuccessCriteriaMet);
  const bool target = is_true(updated, batchv1::kJobFailureTarget);
  const bool complete_changed = changed(batchv1::kJobComplete);
  const bool failed_changed = changed(batchv1::kJobFailed);
  if ((complete_changed || failed_changed) && complete && failed) {
    refuse("cannot set Complete=True and Failed=true conditions");
  }
  if ((complete_changed || changed(batchv1::kJobFailureTarget)) && complete && target) {
    refuse("cannot set Complete=True and FailureTarget=true conditions");
  }
  if (failed_changed && failed && !target) {
    refuse("cannot set Failed=True condition without the FailureTarget=true condition");
  }
  if (complete_changed && complete && !met) {
    refuse("cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
  }
  if (met && failed) refuse("cannot set SuccessCriteriaMet=True and Failed=true conditions");
  if (met && target) refuse("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
  for (const std::string_view type : {batchv1::kJobFailed, batchv1::kJobComplete, batchv1::kJobFailureTarget}) {
    if (is_true(old, type) && !is_true(updated, type)) {
      refuse(fmt::format("cannot disable the terminal {}=True condition", type));
    }
  }
  const bool was_met = is_true(old, batchv1::kJobSuccessCriteriaMet);
  if (was_met && !met) refuse("cannot disable the SuccessCriteriaMet=True condition");
  if (is_complete(old) && !was_met && met) {
    refuse("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions");
  }
}

void check_times(const Job& updated, const Job& old, const Path& at, ErrorList& errors) {
  const auto& now = updated.status;
  const auto& before = old.status;
  const bool start_changed = now.start_time != before.start_time;
  const bool end_changed = now.completion_time != before.completion_time;
  const bool complete_changed = is_complete(updated) != is_complete(old);
  const Path end = at.child("completionTime");
  const auto shown = [&] { return BadValue::raw(now.completion_time ? now.completion_time->to_string() : "null"); };
  if ((complete_changed || end_changed) && now.completion_time && !is_complete(updated)) {
    errors.invalid(end, shown(), "cannot set completionTime when there is no Complete=True condition");
  }
  if ((complete_changed || end_changed) && !now.completion_time && is_complete(updated)) {
    errors.required(end, "completionTime is required for Complete jobs");
  }
  if ((start_changed || end_changed) && now.start_time && now.completion_time &&
      *now.completion_time < *now.start_time) {
    errors.invalid(end, shown(), "completionTime cannot be set before startTime");
  }
  if (now.completion_time && before.completion_time && end_changed) {
    errors.invalid(end, shown(), "completionTime cannot be mutated");
  }
  if ((is_ended(updated) != is_ended(old) || start_changed) && is_ended(updated) && !now.start_time) {
    errors.required(at.child("startTime"), "startTime is required for finished job");
  }
  // A job that is resumed starts anew.
  const bool resumed = is_true(old, batchv1::kJobSuspended) && now.start_time;
  if (before.start_time && start_changed && !updated.spec.suspend.value_or(false) && !resumed) {
    errors.required(at.child("startTime"), "startTime cannot be removed for unsuspended job");
  }
}

void check_index_lists(const Job& updated, const Job& old, const Path& at, ErrorList& errors) {
  const auto& now = updated.status;
  const auto& spec = updated.spec;
  const bool completed_changed = now.completed_indexes != old.status.completed_indexes;
  const bool failed_changed = now.failed_indexes != old.status.failed_indexes;
  const Path completed = at.child("completedIndexes");
  const Path failed = at.child("failedIndexes");
  if (completed_changed && spec.completions) {
    if (const auto count = count_indexes(now.completed_indexes, *spec.completions); !count.ok()) {
      errors.invalid(completed, now.completed_indexes, "error parsing completedIndexes: " + count.status().message());
    }
  }
  if (completed_changed && !now.completed_indexes.empty() && spec.completion_mode.value_or("") != "Indexed") {
    errors.invalid(completed, now.completed_indexes,
                   "cannot set non-empty completedIndexes when non-indexed completion mode");
  }
  if (failed_changed && now.failed_indexes) {
    if (!spec.backoff_limit_per_index) {
      errors.invalid(failed, *now.failed_indexes,
                     "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
    } else if (spec.completions) {
      if (const auto count = count_indexes(*now.failed_indexes, *spec.completions); !count.ok()) {
        errors.invalid(failed, *now.failed_indexes, "error parsing failedIndexes: " + count.status().message());
      }
    }
  }
  if ((failed_changed || completed_changed) && spec.completions && now.failed_indexes) {
    if (const int32_t both = overlap(now.completed_indexes, *now.failed_indexes, *spec.completions); both >= 0) {
      errors.invalid(failed, *now.failed_indexes,
                     fmt::format("failedIndexes and completedIndexes overlap at index: {}", both));
    }
  }
}

}  // namespace

Result<int32_t> count_indexes(std::string_view text, int32_t completions) {
  int32_t total = 0;
  int32_t previous = -1;
  TRY(for_each_interval(text, completions, [&](const Interval& interval) -> Status {
    if (total > 0 && previous >= interval.first) {
      return Status::bad_request(
          fmt::format("non-increasing order, previous: {}, current: {}", previous, interval.first));
    }
    total += interval.last - interval.first + 1;
    previous = interval.last;
    return {};
  }));
  return total;
}

void check_managed_by(std::string_view name, const Path& at, ErrorList& errors) {
  constexpr size_t kLongest = 63;
  constexpr std::string_view kPathCharacters = "/-._~%!$&'()*+,;=:";
  const size_t slash = name.find('/');
  const std::string_view host = name.substr(0, slash);
  const std::string_view path = slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
  if (name.empty()) {
    errors.required(at);
  } else if (host.empty() || path.empty()) {
    errors.invalid(at, name, "must be a domain-prefixed path (such as \"acme.io/foo\")");
  } else {
    errors.invalid_each(at, host, check_dns1123_subdomain(host));
    const bool fits = std::ranges::all_of(path, [&](unsigned char c) {
      return std::isalnum(c) || kPathCharacters.find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (!fits) {
      errors.invalid(at, path, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
    }
  }
  if (name.size() > kLongest) errors.too_long(at, kLongest);
}

void check_job_status(const Job& updated, const Job& old, const Path& at, ErrorList& errors) {
  const auto& now = updated.status;
  const auto& before = old.status;
  check_not_negative(now.active, at.child("active"), errors);
  check_not_negative(now.succeeded, at.child("succeeded"), errors);
  check_not_negative(now.failed, at.child("failed"), errors);
  if (now.ready) check_not_negative(*now.ready, at.child("ready"), errors);
  if (now.terminating) check_not_negative(*now.terminating, at.child("terminating"), errors);
  if (now.uncounted_terminated_pods) {
    check_uncounted(*now.uncounted_terminated_pods, at.child("uncountedTerminatedPods"), errors);
  }
  check_conditions(updated, old, at.child("conditions"), errors);
  check_times(updated, old, at, errors);
  check_index_lists(updated, old, at, errors);

  const bool ended = is_ended(updated);
  const bool end_changed = ended != is_ended(old);
  if ((end_changed || now.active != before.active) && ended && now.active > 0) {
    errors.invalid(at.child("active"), now.active, "active>0 is invalid for finished job");
  }
  if ((end_changed || now.terminating != before.terminating) && ended && now.terminating.value_or(0) > 0) {
    errors.invalid(at.child("terminating"), *now.terminating, "terminating>0 is invalid for finished job");
  }
  const auto& uncounted = now.uncounted_terminated_pods;
  if (end_changed && ended && uncounted && !(uncounted->succeeded.empty() && uncounted->failed.empty())) {
    errors.invalid(at.child("uncountedTerminatedPods"), not_shown(),
                   "uncountedTerminatedPods needs to be empty for finished job");
  }
  if ((now.ready != before.ready || now.active != before.active) && now.ready.value_or(0) > now.active) {
    errors.invalid(at.child("ready"), *now.ready, "cannot set more ready pods than active");
  }
  if (now.failed < before.failed) errors.invalid(at.child("failed"), now.failed, "cannot decrease the failed counter");
  // An indexed job may be made smaller.
  const bool may_shrink =
      updated.spec.completion_mode.value_or("") == "Indexed" && updated.spec.completions == updated.spec.parallelism;
  if (now.succeeded < before.succeeded && !may_shrink) {
    errors.invalid(at.child("succeeded"), now.succeeded, "cannot decrease the succeeded counter");
  }
}

}  // namespace trireme::api::validation
