#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "api/quota/evaluator.h"
#include "api/status_convert.h"
#include "api/types/corev1.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/registry/storage.h"

namespace trireme::apiserver::admission {
namespace {

namespace quota = api::quota;
using api::ResourceList;
using api::corev1::ResourceQuota;
using api::corev1::ScopedResourceSelectorRequirement;

/// Rounds of charging the quotas that somebody else (the controller) wrote meanwhile.
constexpr int kTries = 4;

/// A quota as the charges of a batch change it.
struct Account {
  std::shared_ptr<const ResourceQuota> stored;
  ResourceList used;
  bool changed = false;
};

/// What stands in `list` with amounts above zero.
ResourceList without_zeros(const ResourceList& list) {
  ResourceList out;
  for (const auto& [name, quantity] : list) {
    if (!quantity.is_zero()) out.emplace(name, quantity);
  }
  return out;
}

/// By how much each amount grew.
ResourceList growth(const ResourceList& now, const ResourceList& before) {
  ResourceList out;
  for (const auto& [name, quantity] : now) {
    const auto old = before.find(name);
    const Quantity more = old == before.end() ? quantity : quantity - old->second;
    if (more.sign() > 0) out.emplace(name, more);
  }
  return out;
}

bool is_known(const ResourceQuota& quota, const std::vector<std::string>& names) {
  return std::ranges::all_of(names, [&](const std::string& name) { return quota.status.used.contains(name); });
}

/// "[{PriorityClass In [high]} {BestEffort Exists []}]".
std::string to_string(const std::vector<ScopedResourceSelectorRequirement>& scopes) {
  std::vector<std::string> parts;
  for (const auto& scope : scopes) {
    parts.push_back(fmt::format("{{{} {} [{}]}}", scope.scope_name, scope.operator_, fmt::join(scope.values, " ")));
  }
  return fmt::format("[{}]", fmt::join(parts, " "));
}

/// What a request consumes that is limited by default, and so must be covered by a quota.
class Obligations {
 public:
  Obligations(const std::vector<LimitedResource>& limited, const Attributes& attributes,
              const quota::Evaluator& evaluator, const ResourceList& usage) {
    for (const LimitedResource& each : limited) {
      for (auto& scope : evaluator.matching(each.match_scopes, attributes.object->data())) {
        scopes_.push_back(std::move(scope));
      }
      if (each.api_group != attributes.resource->group || each.resource != attributes.resource->resource) continue;
      for (const auto& [name, amount] : usage) {
        const bool limits = std::ranges::any_of(
            each.match_contains, [&](const std::string& part) { return name.find(part) != std::string::npos; });
        if (limits && amount.sign() > 0) names_.insert(name);
      }
    }
  }
  /// A quota that the request is charged to counts these names.
  void cover(const std::vector<std::string>& names) {
    for (const std::string& name : names) names_.erase(name);
  }
  /// A quota has this scope, and it selects the object.
  void cover(const ScopedResourceSelectorRequirement& scope) {
    std::erase_if(scopes_, [&](const auto& each) { return each.scope_name == scope.scope_name; });
  }
  Status check(const Attributes& attributes) const {
    if (!names_.empty()) {
      return forbidden(attributes, fmt::format("insufficient quota to consume: {}", fmt::join(names_, ",")));
    }
    if (!scopes_.empty()) {
      // By intent no Forbidden: upstream answers with the bare error.
      return {Reason::kUnknown, fmt::format("insufficient quota to match these scopes: {}", to_string(scopes_))};
    }
    return {};
  }

 private:
  std::set<std::string> names_;
  std::vector<ScopedResourceSelectorRequirement> scopes_;
};

/// Charges one request to the accounts it concerns, or to none when it does not fit into all of them, or when they do
/// not cover what is `limited`.
Status charge(const Attributes& attributes, WallTime now, const std::vector<LimitedResource>& limited,
              std::vector<Account>& accounts) {
  const quota::Evaluator evaluator = quota::Evaluator::of(*attributes.resource);
  const void* object = attributes.object->data();
  const bool update = attributes.operation == Operation::kUpdate;
  const ResourceList usage = evaluator.usage(object, now);
  const ResourceList old_usage = update ? evaluator.usage(attributes.old_object->data(), now) : ResourceList();
  Obligations obligations(limited, attributes, evaluator, usage);

  std::vector<Account*> concerned;
  for (Account& account : accounts) {
    const ResourceQuota& each = *account.stored;
    for (const auto& scope : evaluator.matching(quota::scopes_of(each.spec), object)) obligations.cover(scope);
    const std::vector<std::string> names = evaluator.tracked(each.status.hard);
    if (names.empty() || !evaluator.in_scopes(each.spec, object)) continue;
    if (const std::string missing = evaluator.missing(names, object); !missing.empty()) {
      return forbidden(attributes, fmt::format("failed quota: {}: {}", each.metadata.name, missing));
    }
    if (!is_known(each, names)) {
      return forbidden(attributes, fmt::format("status unknown for quota: {}, resources: {}", each.metadata.name,
                                               fmt::join(names, ",")));
    }
    concerned.push_back(&account);
    obligations.cover(names);
  }
  if (concerned.empty() && limited.empty()) return {};

  std::vector<std::string> negative;
  for (const auto& [name, quantity] : usage) {
    if (quantity.sign() < 0) negative.push_back(name);
  }
  if (!negative.empty()) {
    return forbidden(attributes, fmt::format("quota usage is negative for resource(s): {}", fmt::join(negative, ",")));
  }

  std::vector<std::pair<Account*, ResourceList>> charges;
  for (Account* account : concerned) {
    const bool counted = update && evaluator.in_scopes(account->stored->spec, attributes.old_object->data());
    ResourceList delta = counted ? growth(usage, old_usage) : without_zeros(usage);
    if (!delta.empty()) charges.emplace_back(account, std::move(delta));
  }
  // What consumes nothing more needs no quota.
  if (concerned.empty() ? growth(usage, old_usage).empty() : charges.empty()) return {};
  TRY(obligations.check(attributes));

  for (auto& [account, requested] : charges) {
    const ResourceQuota& each = *account->stored;
    requested = quota::only(requested, quota::names_of(each.status.hard));
    std::vector<std::string> exceeded;
    for (const auto& [name, amount] : requested) {
      if (account->used.get(name) + amount > each.status.hard.at(name)) exceeded.push_back(name);
    }
    if (!exceeded.empty()) {
      return forbidden(attributes, fmt::format("exceeded quota: {}, requested: {}, used: {}, limited: {}",
                                               each.metadata.name, quota::to_string(quota::only(requested, exceeded)),
                                               quota::to_string(quota::only(account->used, exceeded)),
                                               quota::to_string(quota::only(each.status.hard, exceeded))));
    }
  }
  if (attributes.dry_run) return {};
  for (auto& [account, requested] : charges) {
    if (requested.empty()) continue;
    api::add_resources(account->used, requested);
    account->changed = true;
  }
  return {};
}

class ResourceQuotaPlugin final : public Plugin {
 public:
  ResourceQuotaPlugin(std::shared_ptr<Caches> caches, std::vector<LimitedResource> limited)
      : clock_(caches->options().clock), storage_(caches, clock_, Duration::zero()), limited_(std::move(limited)) {}
  std::string_view name() const override { return "ResourceQuota"; }

  Status validate(const Attributes& attributes) override {
    if (!concerns(attributes)) return {};
    // The usual case takes no turn: no quota, nothing to charge.
    TRY_ASSIGN(const auto quotas, storage_.caches().list<ResourceQuota>(attributes.ns));
    if (quotas.empty() && limited_.empty()) return {};

    Waiter own{&attributes, {}, false};
    std::unique_lock lock(mutex_);
    Lane& lane = lanes_[attributes.ns];
    lane.waiting.push_back(&own);
    ++lane.users;
    changed_.wait(lock, [&] { return own.done || !lane.busy; });
    if (!own.done) {
      lane.busy = true;
      const std::vector<Waiter*> batch = std::move(lane.waiting);
      lane.waiting.clear();
      lock.unlock();
      evaluate(attributes.ns, batch);
      lock.lock();
      for (Waiter* waiter : batch) waiter->done = true;
      lane.busy = false;
      changed_.notify_all();
    }
    if (--lane.users == 0) lanes_.erase(attributes.ns);
    return own.result;
  }

 private:
  struct Waiter {
    const Attributes* attributes;
    Status result;
    bool done;
  };
  /// The requests of one namespace. One thread at a time charges for all that wait.
  struct Lane {
    std::vector<Waiter*> waiting;
    int users = 0;
    bool busy = false;
  };

  static bool concerns(const Attributes& attributes) {
    if (attributes.object == nullptr || attributes.ns.empty() || !attributes.subresource.empty()) return false;
    if (!attributes.resource->namespaced || quota::is_ignored(*attributes.resource)) return false;
    if (attributes.operation == Operation::kCreate) return true;
    return attributes.operation == Operation::kUpdate && quota::Evaluator::of(*attributes.resource).charges_updates();
  }

  void evaluate(const std::string& ns, const std::vector<Waiter*>& batch) {
    auto fail = [&](const Status& failure) {
      for (Waiter* waiter : batch) {
        if (waiter->result.ok()) waiter->result = failure;
      }
    };
    // After a collision: the quotas that are still to be charged.
    std::optional<std::set<std::string>> left;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const auto quotas = storage_.caches().list<ResourceQuota>(ns);
      if (!quotas.ok()) return fail(quotas.status());
      std::vector<Account> accounts;
      for (const auto& each : *quotas) {
        if (!left || left->contains(each->metadata.name)) accounts.push_back({each, each->status.used});
      }
      for (Waiter* waiter : batch) {
        if (!waiter->result.ok()) continue;
        // All quotas are at hand in the first round only, so what they must cover is decided there.
        waiter->result = charge(*waiter->attributes, clock_->now(), attempt == 0 ? limited_ : kNothing, accounts);
      }
      left.emplace();
      for (Account& account : accounts) {
        if (!account.changed) continue;
        const Status written = write(account);
        if (written.is(Reason::kConflict)) {
          left->insert(account.stored->metadata.name);
        } else if (!written.ok()) {
          return fail(written);
        }
      }
      if (left->empty()) return;
    }
    fail(api::conflict(api::resource_of<ResourceQuota>(), *left->begin()));
  }

  /// Only over the very state that the charge was computed from.
  Status write(const Account& account) {
    const auto& resource = api::resource_of<ResourceQuota>();
    const auto& metadata = account.stored->metadata;
    TRY_ASSIGN(const CachedPointer stored, storage_.get(resource, metadata.namespace_, metadata.name));
    if (stored->metadata().resource_version != metadata.resource_version) {
      return api::conflict(resource, metadata.name);
    }
    api::Object object = stored->object().clone();
    object.as<ResourceQuota>()->status.used = account.used;
    return storage_.put(resource, std::move(object), stored->revision(), /*dry_run=*/false).status();
  }

  static inline const std::vector<LimitedResource> kNothing;

  std::shared_ptr<Clock> clock_;
  Storage storage_;
  const std::vector<LimitedResource> limited_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Lane> lanes_;
};

}  // namespace

std::shared_ptr<Plugin> resource_quota_plugin(std::shared_ptr<Caches> caches, std::vector<LimitedResource> limited) {
  return std::make_shared<ResourceQuotaPlugin>(std::move(caches), std::move(limited));
}

}  // namespace trireme::apiserver::admission
