#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/scheme.h"
#include "api/structural/json_path.h"
#include "api/structural/schema.h"
#include "api/types/apiextensionsv1.h"
#include "apiserver/watch/caches.h"

/// Custom resources: what CustomResourceDefinitions define, served by the same registry as the built-in kinds.
/// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
namespace trireme::apiserver::extensions {

struct Definition;

/// Where the scale subresource finds its numbers.
struct ScalePaths {
  api::structural::JsonPath spec_replicas;
  api::structural::JsonPath status_replicas;
  std::optional<api::structural::JsonPath> selector;
};

/// One version of a custom kind, ready to serve. Lives in its Definition.
struct CustomVersion {
  const Definition* definition = nullptr;
  const api::apiextensionsv1::CustomResourceDefinitionVersion* spec = nullptr;
  const api::ResourceInfo* resource = nullptr;
  std::shared_ptr<const api::structural::Schema> schema;
  bool has_status = false;
  std::optional<ScalePaths> scale;
  std::vector<api::structural::JsonPath> columns;  ///< One for each of the spec's additional printer columns.
  std::map<std::string, api::structural::JsonPath, std::less<>> selectable;  ///< By the name in field selectors.
  std::string warning;                                                       ///< Sent with every answer; or empty.
};
/// Keeps its definition alive.
using CustomVersionPointer = std::shared_ptr<const CustomVersion>;

struct Definition {
  CachedPointer object;
  const api::apiextensionsv1::CustomResourceDefinition* definition = nullptr;  ///< The object's.
  std::vector<CustomVersion> versions;  ///< Served ones and the storage version, by upstream's version priority.
  const CustomVersion* storage = nullptr;
  bool established = false;
  bool terminating = false;
  /// Objects of other versions than the stored one can only be had from a webhook, and there is none yet.
  bool needs_webhook = false;
};
using DefinitionPointer = std::shared_ptr<const Definition>;

/// The definitions that are served, by group and by name within it: the order of discovery.
struct Served {
  store::Revision revision = -1;
  std::vector<DefinitionPointer> definitions;

  /// Null when there is none.
  CustomVersionPointer find(std::string_view group, std::string_view version, std::string_view resource) const;
  DefinitionPointer find(std::string_view group, std::string_view resource) const;
  /// By the definition's own name.
  DefinitionPointer find(std::string_view name) const;
};

/// Follows the definitions in the store. What it hands out is immutable. Thread-safe.
class Definitions {
 public:
  /// Fills in the defaults of custom objects that `caches` reads from the store, from then on.
  explicit Definitions(std::shared_ptr<Caches> caches);
  ~Definitions();

  /// As of now, every acknowledged write included.
  Result<std::shared_ptr<const Served>> served();
  /// Null when no such version of a custom resource is served.
  Result<CustomVersionPointer> find(std::string_view group, std::string_view version, std::string_view resource);

 private:
  struct State;
  std::shared_ptr<Caches> caches_;
  std::mutex mutex_;  ///< Held while a new state is made.
  std::shared_ptr<State> state_;
};

/// Whether version `a` comes before `b` in discovery: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name.
/// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority
bool version_before(std::string_view a, std::string_view b);

}  // namespace trireme::apiserver::extensions
