#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/map.h"
#include "api/types/appsv1.h"
#include "base/result.h"
#include "client/client.h"

/// ControllerRevisions: the pod templates that a StatefulSet or DaemonSet has had, as immutable objects that its pods
/// name and that a rollback returns to.
/// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/controller-revision-v1/
namespace trireme::controllers::history {

using api::appsv1::ControllerRevision;
using RevisionPointer = std::shared_ptr<const ControllerRevision>;

/// What a revision stores: a strategic merge patch that replaces the template. kubectl applies it to undo.
std::string template_patch(const api::corev1::PodTemplateSpec& pod_template);
/// The template that `template_patch` stored.
Result<api::corev1::PodTemplateSpec> template_of(const ControllerRevision& revision);

/// Whose revisions these are.
struct Owner {
  api::corev1::ObjectReference reference;
  api::Map<std::string> labels;       ///< The template's: the owner's selector finds its revisions by them.
  api::Map<std::string> annotations;  ///< Copied from the owner.
  std::string hash_label;             ///< Where the revision's hash stands.
};

/// The revision for `data`, not yet written. Its name ends in its hash, which `collision_count` changes.
ControllerRevision make_revision(const Owner& owner, const std::string& data, int64_t number,
                                 std::optional<int32_t> collision_count);

/// By number, then age, then name.
void sort_revisions(std::vector<RevisionPointer>& revisions);
int64_t highest_number(const std::vector<RevisionPointer>& revisions);
/// The newest of the (sorted) revisions that stores the same; null when none does.
RevisionPointer find_equal(const std::vector<RevisionPointer>& revisions, const std::string& data);

/// Writes a new revision. A revision of that name with other content is a collision: it is counted, and another name
/// tried.
Result<RevisionPointer> create_revision(client::Client& client, const Owner& owner, const std::string& data,
                                        int64_t number, std::optional<int32_t>& collision_count);
/// Gives an old revision a new number: a rollback to it.
Result<RevisionPointer> renumber(client::Client& client, const ControllerRevision& revision, int64_t number);

/// The revision that stores `data`, with the highest number: of the (sorted) `revisions` the newest that does,
/// renumbered if it was passed, else a new one. `revisions` has it afterwards as it was written, in its place. `wrote`
/// is told of what was written.
Result<RevisionPointer> find_or_make(client::Client& client, const Owner& owner, const std::string& data,
                                     std::vector<RevisionPointer>& revisions, std::optional<int32_t>& collision_count,
                                     const std::function<void(const ControllerRevision& revision)>& wrote);

/// Deletes the oldest of the (sorted) revisions that are not in `live`, until `limit` of those are left.
Status truncate(client::Client& client, const std::vector<RevisionPointer>& revisions,
                const std::set<std::string>& live, int32_t limit);

}  // namespace trireme::controllers::history
