#include "controllers/namespace/namespace_content.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace trireme::controllers {
namespace {

using api::metav1::PartialObjectMetadataList;

// How long finalizers and stragglers are expected to take, as upstream guesses.
constexpr Duration kUsualDelay = std::chrono::seconds(15);

bool has_verb(const api::ResourceInfo& resource, std::string_view verb) {
  return std::ranges::find(resource.verbs, verb) != resource.verbs.end();
}

Result<PartialObjectMetadataList> list_all(client::RawClient& client, const api::ResourceInfo& resource,
                                           const std::string& ns) {
  client::ListOptions options;
  options.metadata_only = true;
  TRY_ASSIGN(const std::string body, client.list(resource, ns, options));
  if (body.starts_with(std::string_view("k8s\0", 4))) return api::decode_proto<PartialObjectMetadataList>(body);
  return api::decode_json<PartialObjectMetadataList>(body);
}

Status delete_all(client::RawClient& client, const api::ResourceInfo& resource, const std::string& ns,
                  const PartialObjectMetadataList& items) {
  client::DeleteOptions options;
  options.propagation_policy = "Background";
  if (has_verb(resource, "deletecollection")) {
    Status status = client.remove_collection(resource, ns, options);
    if (!status.is(Reason::kMethodNotAllowed)) return status.is(Reason::kNotFound) ? Status() : status;
  }
  Status failure;
  for (const auto& item : items.items) {
    Status status = client.remove(resource, ns, item.metadata.name, options);
    if (!status.ok() && !status.is(Reason::kNotFound)) failure = std::move(status);
  }
  return failure;
}

/// When the remaining objects may be gone: at the end of their grace, or after the usual time.
Duration estimate(const PartialObjectMetadataList& items) {
  Duration longest{};
  for (const auto& item : items.items) {
    Duration expected = kUsualDelay;
    if (item.metadata.deletion_grace_period_seconds.value_or(0) > 0) {
      expected = std::chrono::seconds(*item.metadata.deletion_grace_period_seconds);
    }
    longest = std::max(longest, expected);
  }
  return longest;
}

void delete_resource(client::RawClient& client, const api::ResourceInfo& resource, const std::string& ns,
                     ContentReport& report) {
  const std::string name = resource.resource + "." + resource.group;
  const auto fail = [&](const Status& status) {
    report.deletion_failures.push_back(fmt::format("{}: {}", name, status.message()));
  };
  Result<PartialObjectMetadataList> items = list_all(client, resource, ns);
  if (!items.ok()) {
    if (!items.status().is(Reason::kMethodNotAllowed) && !items.status().is(Reason::kNotFound)) fail(items.status());
    return;
  }
  if (items->items.empty()) return;
  const bool all_ending =
      std::ranges::all_of(items->items, [](const auto& item) { return item.metadata.deletion_timestamp.has_value(); });
  if (!all_ending) {
    if (Status status = delete_all(client, resource, ns, *items); !status.ok()) fail(status);
    items = list_all(client, resource, ns);
    if (!items.ok()) {
      fail(items.status());
      return;
    }
    if (items->items.empty()) return;
  }
  report.remaining[name] += static_cast<int64_t>(items->items.size());
  for (const auto& item : items->items) {
    for (const std::string& finalizer : item.metadata.finalizers) ++report.finalizers[finalizer];
  }
  report.look_again = std::max(report.look_again.value_or(Duration::zero()), estimate(*items));
}

std::string counted(const std::map<std::string, int64_t>& counts, std::string_view verb) {
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts)
    parts.push_back(fmt::format("{} {} {} resource instances", name, verb, count));
  return fmt::format("{}", fmt::join(parts, ", "));
}

struct Wanted {
  std::string_view type;
  bool failing;
  std::string_view bad_reason;
  std::string bad_message;
  std::string_view good_reason;
  std::string_view good_message;
};

bool set_condition(api::corev1::NamespaceStatus& status, const Wanted& wanted, WallTime now) {
  const std::string_view value = wanted.failing ? api::corev1::kConditionTrue : api::corev1::kConditionFalse;
  const std::string_view reason = wanted.failing ? wanted.bad_reason : wanted.good_reason;
  const std::string_view message = wanted.failing ? std::string_view(wanted.bad_message) : wanted.good_message;
  auto found = std::ranges::find_if(status.conditions, [&](const auto& each) { return each.type == wanted.type; });
  if (found == status.conditions.end()) {
    found = status.conditions.insert(status.conditions.end(), api::corev1::NamespaceCondition());
    found->type = wanted.type;
  } else if (found->status == value && found->reason == reason && found->message == message) {
    return false;
  }
  if (found->status != value) found->last_transition_time = api::Time(now);
  found->status = value;
  found->reason = reason;
  found->message = message;
  return true;
}

}  // namespace

ContentReport delete_content(client::RawClient& client, const std::string& ns) {
  ContentReport report;
  Result<client::DiscoveredResources> discovered = client::discover(client);
  if (!discovered.ok()) {
    report.discovery_failure = discovered.status();
    return report;
  }
  report.discovery_failure = discovered->incomplete;
  // Pods first: what they use should outlast them where it can.
  std::ranges::stable_partition(discovered->resources,
                                [](const auto& resource) { return resource.resource == "pods"; });
  for (const api::ResourceInfo& resource : discovered->resources) {
    if (!resource.namespaced || !has_verb(resource, "delete") || !has_verb(resource, "list")) continue;
    // Events in events.k8s.io are the core group's, seen once more.
    if (resource.resource == "events" && !resource.group.empty()) continue;
    delete_resource(client, resource, ns, report);
  }
  std::ranges::sort(report.deletion_failures);
  return report;
}

bool update_conditions(api::corev1::NamespaceStatus& status, const ContentReport& report, WallTime now) {
  const Wanted wanted[] = {
      {api::corev1::kNamespaceDeletionDiscoveryFailure, !report.discovery_failure.ok(), "DiscoveryFailed",
       fmt::format("Discovery failed for some groups, 1 failing: {}",
                   report.discovery_failure.ok() ? "" : report.discovery_failure.message()),
       "ResourcesDiscovered", "All resources successfully discovered"},
      {api::corev1::kNamespaceDeletionGVParsingFailure, false, "GroupVersionParsingFailed", "", "ParsedGroupVersions",
       "All legacy kube types successfully parsed"},
      {api::corev1::kNamespaceDeletionContentFailure, !report.deletion_failures.empty(), "ContentDeletionFailed",
       fmt::format("Failed to delete all resource types, {} remaining: {}", report.deletion_failures.size(),
                   fmt::join(report.deletion_failures, ", ")),
       "ContentDeleted", "All content successfully deleted, may be waiting on finalization"},
      {api::corev1::kNamespaceContentRemaining, !report.remaining.empty(), "SomeResourcesRemain",
       "Some resources are remaining: " + counted(report.remaining, "has"), "ContentRemoved",
       "All content successfully removed"},
      {api::corev1::kNamespaceFinalizersRemaining, !report.finalizers.empty(), "SomeFinalizersRemain",
       "Some content in the namespace has finalizers remaining: " + counted(report.finalizers, "in"),
       "ContentHasNoFinalizers", "All content-preserving finalizers finished"},
  };
  bool changed = false;
  for (const Wanted& each : wanted) changed = set_condition(status, each, now) || changed;
  return changed;
}

}  // namespace trireme::controllers
