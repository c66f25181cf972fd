#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/object.h"
#include "api/scheme.h"
#include "apiserver/authn/authn.h"

/// Checks and changes of objects on their way in, after decoding and defaulting, before validation and storage.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
namespace trireme::apiserver::admission {

enum class Operation { kCreate, kUpdate, kDelete, kConnect };

/// One write under way.
struct Attributes {
  Operation operation = Operation::kCreate;
  const api::ResourceInfo* resource = nullptr;  ///< As requested (its version is the object's).
  std::string subresource;
  std::string ns;
  std::string name;  ///< Empty while a name is yet to be generated.
  const authn::UserInfo* user = nullptr;
  bool dry_run = false;
  api::Object* object = nullptr;                 ///< The object to be written (or subresource body); null for deletes.
  const api::Object* old_object = nullptr;       ///< What is stored now; null for creates.
  std::vector<std::string>* warnings = nullptr;  ///< Sent as Warning headers.
};

/// Thread-safe; called concurrently. Failures are normally Forbidden or Invalid.
class Plugin {
 public:
  virtual ~Plugin() = default;
  /// Upstream's plugin name: "ServiceAccount".
  virtual std::string_view name() const = 0;
  /// May change `*attributes.object`.
  virtual Status admit(Attributes& /*attributes*/) { return {}; }
  /// Must not change it. Runs after every plugin's `admit` and after validation.
  virtual Status validate(const Attributes& /*attributes*/) { return {}; }
};

/// Plugins in order. Built before serving; constant afterwards.
class Chain {
 public:
  void add(std::shared_ptr<Plugin> plugin) { plugins_.push_back(std::move(plugin)); }
  bool empty() const { return plugins_.empty(); }
  Status admit(Attributes& attributes) const;
  Status validate(const Attributes& attributes) const;

 private:
  std::vector<std::shared_ptr<Plugin>> plugins_;
};

/// A Forbidden status in upstream's words: `pods "x" is forbidden: REASON`.
Status forbidden(const Attributes& attributes, std::string_view reason);

}  // namespace trireme::apiserver::admission
