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

/// Charges one request to the accounts it concerns, or to none when it does not fit into all of them.
Status charge(const Attributes& attributes, WallTime now, std::vector<Account>& accounts) {
  const quota::Evaluator evaluator = quota::Evaluator::of(*attributes.resource);
  const void* object = attributes.object->data();
  const bool update = attributes.operation == Operation::kUpdate;

  std::vector<Account*> concerned;
  for (Account& account : accounts) {
    const ResourceQuota& each = *account.stored;
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
  }
  if (concerned.empty()) return {};

  const ResourceList usage = evaluator.usage(object, now);
  std::vector<std::string> negative;
  for (const auto& [name, quantity] : usage) {
    if (quantity.sign() < 0) negative.push_back(name);
  }
  if (!negative.empty()) {
    return forbidden(attributes, fmt::format("quota usage is negative for resource(s): {}", fmt::join(negative, ",")));
  }

  std::vector<std::pair<Account*, ResourceList>> charges;
  for (Account* account : concerned) {
    const ResourceQuota& each = *account->stored;
    const bool counted = update && evaluator.in_scopes(each.spec, attributes.old_object->data());
    const ResourceList delta =
        counted ? growth(usage, evaluator.usage(attributes.old_object->data(), now)) : without_zeros(usage);
    const ResourceList requested = quota::only(delta, quota::names_of(each.status.hard));
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
    if (!requested.empty()) charges.emplace_back(account, requested);
  }
  if (attributes.dry_run) return {};
  for (auto& [account, requested] : charges) {
    api::add_resources(account->used, requested);
    account->changed = true;
  }
  return {};
}

class ResourceQuotaPlugin final : public Plugin {
 public:
  explicit ResourceQuotaPlugin(std::shared_ptr<Caches> caches)
      : clock_(caches->options().clock), storage_(caches, clock_, Duration::zero()) {}
  std::string_view name() const override { return "ResourceQuota"; }

  Status validate(const Attributes& attributes) override {
    if (!concerns(attributes)) return {};
    // The usual case takes no turn: no quota, nothing to charge.
    TRY_ASSIGN(const auto quotas, storage_.caches().list<ResourceQuota>(attributes.ns));
    if (quotas.empty()) return {};

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
        if (waiter->result.ok()) waiter->result = charge(*waiter->attributes, clock_->now(), accounts);
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

  std::shared_ptr<Clock> clock_;
  Storage storage_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Lane> lanes_;
};

}  // namespace

std::shared_ptr<Plugin> resource_quota_plugin(std::shared_ptr<Caches> caches) {
  return std::make_shared<ResourceQuotaPlugin>(std::move(caches));
}

}  // namespace trireme::apiserver::admission
