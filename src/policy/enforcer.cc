#include "policy/enforcer.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "api/types/corev1.h"
#include "api/types/networkingv1.h"
#include "base/log.h"
#include "client/informer_factory.h"
#include "policy/kernel_table.h"
#include "policy/model.h"
#include "policy/slim_pod.h"

namespace trireme::policy {
namespace {

namespace corev1 = api::corev1;
namespace networkingv1 = api::networkingv1;
using networkingv1::NetworkPolicy;

constexpr Duration kFirstRetry = std::chrono::seconds(1);
constexpr Duration kLongestRetry = std::chrono::minutes(1);

uint64_t number(const std::string& version) {
  uint64_t out = 0;
  std::from_chars(version.data(), version.data() + version.size(), out);
  return out;
}

/// The last word on an object since the inbox was emptied.
template <typename T>
struct Word {
  std::shared_ptr<const T> object;  ///< Null: gone.
  std::string uid;
};
template <typename T>
using Words = std::map<std::string, Word<T>>;

/// What informers and the kernel tell, until the worker takes it: one word for each object, however many there were.
/// Outlives the enforcer, because the informers' handlers do.
class Inbox {
 public:
  struct Content {
    Words<NetworkPolicy> policies;
    Words<corev1::Pod> pods;
    Words<corev1::Namespace> namespaces;
    bool lost = false;  ///< The kernel's rules are not what they were.
    bool any() const { return !policies.empty() || !pods.empty() || !namespaces.empty() || lost; }
  };

  void add(const std::shared_ptr<const NetworkPolicy>& before, const std::shared_ptr<const NetworkPolicy>& after) {
    put(&Content::policies, before, after);
  }
  void add(const std::shared_ptr<const corev1::Pod>& before, const std::shared_ptr<const corev1::Pod>& after) {
    if (collecting_) put(&Content::pods, before, after);
  }
  void add(const std::shared_ptr<const corev1::Namespace>& before,
           const std::shared_ptr<const corev1::Namespace>& after) {
    if (collecting_) put(&Content::namespaces, before, after);
  }
  void set_lost() {
    const std::lock_guard lock(mutex_);
    content_.lost = true;
    changed_.notify_one();
  }
  /// Whether pods and namespaces are of interest. What has come in of them is forgotten.
  void collect(bool on) {
    const std::lock_guard lock(mutex_);
    collecting_ = on;
    content_.pods.clear();
    content_.namespaces.clear();
  }
  /// For the worker to look again.
  void wake() {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_one();
  }
  /// Waits until there is something; empty when `stop` was requested.
  std::optional<Content> take(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, std::move(stop), [&] { return woken_ || content_.any(); })) return std::nullopt;
    woken_ = false;
    return std::exchange(content_, {});
  }

 private:
  template <typename T>
  void put(Words<T> Content::*words, const std::shared_ptr<const T>& before, const std::shared_ptr<const T>& after) {
    const api::metav1::ObjectMeta& meta = (after ? after : before)->metadata;
    const std::lock_guard lock(mutex_);
    (content_.*words)[client::key_of(meta)] = {after, meta.uid};
    changed_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  Content content_;
  std::atomic<bool> collecting_ = false;
  bool woken_ = false;
};

class EnforcerImpl final : public Enforcer {
 public:
  EnforcerImpl(EnforcerOptions options, EnforcerDependencies dependencies, std::shared_ptr<Inbox> inbox)
      : options_(std::move(options)),
        factory_(dependencies.factory),
        client_(std::move(dependencies.client)),
        clock_(std::move(dependencies.clock)),
        applier_(std::move(dependencies.applier)),
        inbox_(std::move(inbox)),
        model_(std::make_unique<Model>(options_.node_name)),
        policies_(factory_.informer<NetworkPolicy>()) {
    follow(policies_);
    factory_.start();
    worker_ = std::jthread([this](std::stop_token stop) { work(std::move(stop)); });
  }

  ~EnforcerImpl() override {
    inbox_->collect(false);
    worker_.request_stop();
    worker_.join();
    retry_.reset();
  }

  Status admit(const std::shared_ptr<const corev1::Pod>& pod, const std::vector<std::string>& ips) override {
    if (pod->spec.host_network) return {};
    std::vector<Address> addresses;
    for (const std::string& ip : ips) {
      if (const auto address = Address::parse(ip)) addresses.push_back(*address);
    }
    const auto listed = list_policies(pod->metadata.namespace_);
    std::unique_lock lock(mutex_);
    sandboxes_[pod->metadata.uid] = addresses;
    model_->set_sandbox(pod->metadata.uid, std::move(addresses));
    TRY(wait(lock, [&] { return known_; }));
    for (const auto& policy : listed) take_early(policy);
    if (!model_->has_policies()) return {};
    if (!active_) {
      inbox_->wake();
      // Policies may also be gone again by the time their pods are known.
      TRY(wait(lock, [&] { return active_ || !model_->has_policies(); }));
      if (!active_) return {};
    }
    model_->set_pod(pod);
    return apply();
  }

  void forget(const corev1::Pod& pod) override {
    const auto& meta = pod.metadata;
    const std::lock_guard lock(mutex_);
    sandboxes_.erase(meta.uid);
    model_->set_sandbox(meta.uid, {});
    if (!active_) return;
    // The server may have forgotten the pod before it was admitted here.
    if (!pods_->get(meta.namespace_, meta.name)) model_->remove_pod(meta.namespace_, meta.name, meta.uid);
    inbox_->wake();
  }

  bool active() const override {
    const std::lock_guard lock(mutex_);
    return active_;
  }

 private:
  template <typename T>
  void follow(client::Informer<T>& informer) {
    informer.add_handler([inbox = inbox_](const std::shared_ptr<const T>& before,
                                          const std::shared_ptr<const T>& after) { inbox->add(before, after); });
  }

  template <typename Condition>
  Status wait(std::unique_lock<std::mutex>& lock, Condition&& condition) {
    if (condition()) return {};
    bool late = false;
    auto timer = clock_->call_after(options_.admit_timeout, [&] {
      const std::lock_guard inner(mutex_);
      late = true;
      changed_.notify_all();
    });
    changed_.wait(lock, [&] { return late || condition(); });
    lock.unlock();
    timer.reset();
    lock.lock();
    return condition() ? Status() : Status::timeout("the network policies are not known yet");
  }

  /// The server's own word on the policies of a namespace: the pod that is to run may be newer than what the informer
  /// has. Without an answer what is known must do, so that a node that is cut off can start its pods again.
  std::vector<std::shared_ptr<const NetworkPolicy>> list_policies(const std::string& ns) {
    std::vector<std::shared_ptr<const NetworkPolicy>> out;
    auto list = client_.list<NetworkPolicy, networkingv1::NetworkPolicyList>(ns);
    if (!list.ok()) {
      log::warning("A pod starts under the network policies as they were last known", {{"error", list.status()}});
      return out;
    }
    for (NetworkPolicy& policy : list->items) out.push_back(std::make_shared<const NetworkPolicy>(std::move(policy)));
    return out;
  }

  /// A policy that the informer has not brought yet.
  void take_early(const std::shared_ptr<const NetworkPolicy>& policy) {
    const auto& meta = policy->metadata;
    const auto brought = policies_.get(meta.namespace_, meta.name);
    if (brought && number(brought->metadata.resource_version) >= number(meta.resource_version)) {
      // The worker may not have come to it.
      model_->set_policy(brought);
      return;
    }
    if (!brought && policies_.version() >= number(meta.resource_version)) return;  // gone since
    early_[client::key_of(meta)] = policy;
    model_->set_policy(policy);
  }

  /// Once the informer is past an early policy, its word alone counts.
  void settle_early() {
    std::erase_if(early_, [&](const auto& entry) {
      const auto& meta = entry.second->metadata;
      if (policies_.version() < number(meta.resource_version)) return false;
      if (!policies_.get(meta.namespace_, meta.name)) model_->remove_policy(meta.namespace_, meta.name, meta.uid);
      return true;
    });
  }

  void work(std::stop_token stop) {
    if (!factory_.wait_synced(stop)) return;
    inbox_->wake();
    while (auto content = inbox_->take(stop)) {
      std::unique_lock lock(mutex_);
      for (const auto& [key, word] : content->policies) {
        tell(key, word);
      }
      settle_early();
      known_ = true;
      if (active_ && !model_->has_policies()) {
        deactivate();
      } else if (active_) {
        for (const auto& [key, word] : content->namespaces) tell(key, word);
        for (const auto& [key, word] : content->pods) tell(key, word);
        if (content->lost) {
          log::warning("The rules of the network policies were removed by somebody else; they are made again");
          stale_ = true;
        }
        static_cast<void>(apply());
      } else if (model_->has_policies()) {
        lock.unlock();
        if (!activate(stop)) return;
      } else if (leftovers_) {
        remove_rules();
      }
      changed_.notify_all();
    }
  }

  /// What the informer has by now counts, and what the server said to a new pod when it is newer: never a step back.
  void tell(const std::string& key, const Word<NetworkPolicy>& word) {
    const auto parts = client::split_key(key);
    const auto brought = policies_.get(parts.ns, parts.name);
    const auto early = early_.find(key);
    if (early != early_.end() &&
        (!brought || number(brought->metadata.resource_version) < number(early->second->metadata.resource_version))) {
      return;
    }
    if (brought) return model_->set_policy(brought);
    model_->remove_policy(parts.ns, parts.name, word.uid);
  }
  void tell(const std::string& key, const Word<corev1::Pod>& word) {
    const auto parts = client::split_key(key);
    if (word.object) return model_->set_pod(word.object);
    // While it has a sandbox here it may run, whatever the server has forgotten: `forget` tells when that is over.
    if (sandboxes_.contains(word.uid)) return;
    model_->remove_pod(parts.ns, parts.name, word.uid);
  }
  void tell(const std::string& key, const Word<corev1::Namespace>& word) {
    if (word.object) return model_->set_namespace(word.object);
    model_->remove_namespace(key);
  }

  /// There are no policies: neither are there rules, whether of this run or of an earlier one.
  void remove_rules() {
    Status status = applier_->remove();
    leftovers_ = !status.ok();
    if (status.ok()) return;
    log::error("Could not remove the rules of network policies that are gone", {{"error", status}});
    retry();
  }

  /// With mutex_.
  void retry() {
    retry_ = clock_->call_after(retry_after_, [inbox = inbox_] { inbox->wake(); });
    retry_after_ = std::min(retry_after_ * 2, kLongestRetry);
  }

  /// The first policy: from now on pods and namespaces matter. False when stopped.
  bool activate(std::stop_token stop) {
    const bool first = pods_ == nullptr;
    // Where the server is in this process its own objects are shared, and a copy would cost more.
    pods_ = client_.raw().local() ? &factory_.informer<corev1::Pod>() : &factory_.informer<corev1::Pod>({}, slim_pod);
    auto& namespaces = factory_.informer<corev1::Namespace>();
    inbox_->collect(true);
    if (first) {
      follow(*pods_);
      follow(namespaces);
    }
    factory_.start();
    if (!factory_.wait_synced(std::move(stop))) return false;
    const std::lock_guard lock(mutex_);
    for (const auto& ns : namespaces.list()) model_->set_namespace(ns);
    for (const auto& pod : pods_->list()) model_->set_pod(pod);
    active_ = true;
    stale_ = true;
    log::info("Network policies are in force", {{"policies", model_->policy_count()}});
    static_cast<void>(apply());
    changed_.notify_all();
    return true;
  }

  void deactivate() {
    inbox_->collect(false);
    active_ = false;
    remove_rules();
    model_ = std::make_unique<Model>(options_.node_name);
    for (const auto& [uid, addresses] : sandboxes_) model_->set_sandbox(uid, addresses);
    log::info("There are no network policies any more");
  }

  /// Brings what the model says into force. With mutex_.
  Status apply() {
    Status status;
    if (!stale_) {
      const Changes changes = model_->take_changes();
      if (changes.empty()) return {};
      status = applier_->apply(changes);
      if (!status.ok())
        log::warning("Changing the rules of network policies failed; all are made anew", {{"error", status}});
    }
    if (stale_ || !status.ok()) status = applier_->replace(model_->everything());
    stale_ = !status.ok();
    if (status.ok()) {
      retry_after_ = kFirstRetry;
      return {};
    }
    log::error("The network policies could not be put in force", {{"error", status}});
    retry();
    return status.with_context("network policies");
  }

  const EnforcerOptions options_;
  client::InformerFactory& factory_;
  client::Client client_;
  const std::shared_ptr<Clock> clock_;
  const std::unique_ptr<Applier> applier_;
  const std::shared_ptr<Inbox> inbox_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Model> model_;
  bool known_ = false;     ///< The policies are.
  bool active_ = false;    ///< There are policies; pods and namespaces are followed.
  bool leftovers_ = true;  ///< An earlier run may have left rules.
  bool stale_ = false;     ///< The kernel's rules are not what the model thinks.
  std::map<std::string, std::vector<Address>> sandboxes_;
  std::map<std::string, std::shared_ptr<const NetworkPolicy>> early_;
  Duration retry_after_ = kFirstRetry;
  std::unique_ptr<Clock::Timer> retry_;

  client::Informer<NetworkPolicy>& policies_;
  client::Informer<corev1::Pod>* pods_ = nullptr;
  std::jthread worker_;
};

}  // namespace

Result<std::unique_ptr<Enforcer>> Enforcer::start(EnforcerOptions options, EnforcerDependencies dependencies) {
  auto inbox = std::make_shared<Inbox>();
  if (!dependencies.applier) {
    TRY_ASSIGN(dependencies.applier, KernelTable::open([inbox] { inbox->set_lost(); }));
  }
  return std::unique_ptr<Enforcer>(
      std::make_unique<EnforcerImpl>(std::move(options), std::move(dependencies), std::move(inbox)));
}

}  // namespace trireme::policy
