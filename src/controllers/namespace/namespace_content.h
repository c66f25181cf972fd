#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "client/client.h"
#include "client/discovery.h"

/// Emptying a namespace: what is done to its content, and how the namespace's conditions tell of it.
namespace trireme::controllers {

/// What a pass over the content found. Keys of the maps: "pods." (resource and group), and finalizers.
struct ContentReport {
  Status discovery_failure;
  std::vector<std::string> deletion_failures;  ///< Sorted messages.
  std::map<std::string, int64_t> remaining;
  std::map<std::string, int64_t> finalizers;
  /// When to look again at the latest; nothing when all is gone.
  std::optional<Duration> look_again;

  bool empty() const { return discovery_failure.ok() && deletion_failures.empty() && remaining.empty(); }
};

/// Deletes everything deletable in `ns` and reports what is still there. Pods end gracefully.
ContentReport delete_content(client::RawClient& client, const std::string& ns);

/// Sets the conditions NamespaceDeletion…Failure, NamespaceContentRemaining and NamespaceFinalizersRemaining with
/// upstream's reasons and messages. Returns whether any changed.
bool update_conditions(api::corev1::NamespaceStatus& status, const ContentReport& report, WallTime now);

}  // namespace trireme::controllers
