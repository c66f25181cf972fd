#include "ingress/ingress_controller.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <tuple>

#include "api/endpoint_slices.h"
#include "base/hash.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "client/informer_factory.h"
#include "client/retry.h"
#include "ingress/nginx.h"
#include "ingress/nginx_config.h"
#include "ingress/plan.h"
#include "linux/file.h"
#include "net/x509.h"

namespace trireme::ingress {
namespace {

using api::corev1::Node;
using api::corev1::Secret;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;
using api::networkingv1::Ingress;
using api::networkingv1::IngressClass;

constexpr const char* kByService = "service";
constexpr Duration kLongestSettle = std::chrono::seconds(1);
constexpr Duration kRetry = std::chrono::seconds(2);
constexpr auto kCertificateLife = std::chrono::hours(24 * 3650);

/// Names a file by what is in it, so that another content is another configuration.
std::string content_name(const ObjectName& name, std::string_view content) {
  return fmt::format("{}_{}-{:016x}.pem", name.ns, name.name, fnv1a_64(content));
}

class IngressControllerImpl final : public IngressController {
 public:
  IngressControllerImpl(IngressOptions options, IngressDeps deps)
      : options_(std::move(options)),
        deps_(std::move(deps)),
        client_(deps_.client),
        broadcaster_(client_, deps_.clock),
        events_(broadcaster_.recorder("trireme-ingress")),
        published_(options_.published),
        factory_(deps_.client, deps_.clock) {}

  ~IngressControllerImpl() override {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    factory_.stop();
  }

  Status begin() {
    TRY(linux::make_dirs(options_.folder, 0700));
    TRY(linux::make_dirs(options_.folder + "/certs", 0700));
    TRY(make_default_certificate());
    TRY_ASSIGN(nginx_, Nginx::create(options_.folder, deps_.clock));
    factory_.informer<EndpointSlice>().add_index(
        kByService, [](const EndpointSlice& slice) { return std::vector<std::string>{api::service_key(slice)}; });
    on_change<Ingress>([](const Ingress&) { return true; });
    on_change<IngressClass>([](const IngressClass&) { return true; });
    on_change<Service>([this](const Service& service) { return is_used(client::key_of(service.metadata)); });
    on_change<EndpointSlice>([this](const EndpointSlice& slice) { return is_used(api::service_key(slice)); });
    // An address that no node has any longer leaves the status.
    factory_.informer<Node>().add_handler([this](const auto& before, const auto& after) {
      if (before && (!after || node_addresses(*before) != node_addresses(*after))) wake();
    });
    factory_.start();
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    return {};
  }

  int reloads() const override { return reloads_; }

  void set_published(std::vector<std::string> addresses) override {
    {
      const std::lock_guard lock(mutex_);
      published_ = std::move(addresses);
    }
    wake();
  }

 private:
  template <typename T>
  void on_change(std::function<bool(const T&)> relevant) {
    factory_.informer<T>().add_handler([this, relevant](const auto& before, const auto& after) {
      if ((before && relevant(*before)) || (after && relevant(*after))) wake();
    });
  }

  void wake() {
    {
      const std::lock_guard lock(mutex_);
      changed_ = true;
    }
    wakeup_.notify_all();
  }

  bool is_used(const std::string& service) {
    const std::lock_guard lock(mutex_);
    return used_.contains(service);
  }

  void run(const std::stop_token& stop) {
    if (!factory_.wait_synced(stop)) return;
    if (Status status = make_class(); !status.ok()) {
      log::warning("The ingress class trireme could not be made", {{"error", status}});
    }
    Duration wait = Duration::zero();  // at once, also without any Ingress: the port answers 404
    while (true) {
      {
        std::unique_lock lock(mutex_);
        if (wait != Duration::zero()) {
          const auto due = [this] { return changed_; };
          if (wait == Duration::max()) {
            wakeup_.wait(lock, stop, due);
          } else {
            wakeup_.wait_for(lock, stop, wait, due);
          }
        }
        if (stop.stop_requested()) return;
        // A rollout changes many things at a time: nginx hears of them once.
        const Duration limit = deps_.clock->monotonic() + kLongestSettle;
        while (changed_ && deps_.clock->monotonic() < limit) {
          changed_ = false;
          wakeup_.wait_for(lock, stop, options_.settle, [this] { return changed_; });
        }
        changed_ = false;
        if (stop.stop_requested()) return;
      }
      Status status = sync();
      if (!status.ok()) log::error("The ingress could not be brought up to date", {{"error", status}});
      wait = !status.ok() ? kRetry : secrets_.empty() ? Duration::max() : options_.secret_refresh;
    }
  }

  Status make_class() {
    bool have_default = false;
    for (const auto& each : factory_.informer<IngressClass>().list()) {
      if (each->metadata.name == kClassName) return {};
      const auto mark = each->metadata.annotations.find(std::string(kDefaultClassAnnotation));
      have_default |= mark != each->metadata.annotations.end() && mark->second == "true";
    }
    IngressClass own;
    own.metadata.name = kClassName;
    own.spec.controller = kControllerName;
    if (!have_default) own.metadata.annotations[std::string(kDefaultClassAnnotation)] = "true";
    Status status = client_.create(own).status();
    return status.is(Reason::kAlreadyExists) ? Status() : status;
  }

  Inputs gather() {
    Inputs inputs;
    inputs.ingresses = factory_.informer<Ingress>().list();
    inputs.classes = factory_.informer<IngressClass>().list();
    std::set<std::string> used;
    const auto use = [&](const std::string& ns, const api::networkingv1::IngressBackend& backend) {
      if (backend.service) used.insert(ns + "/" + backend.service->name);
    };
    for (const auto& ingress : inputs.ingresses) {
      if (!is_ours(*ingress, inputs.classes)) continue;
      const std::string& ns = ingress->metadata.namespace_;
      if (ingress->spec.default_backend) use(ns, *ingress->spec.default_backend);
      for (const auto& rule : ingress->spec.rules) {
        if (!rule.ingress_rule_value.http) continue;
        for (const auto& path : rule.ingress_rule_value.http->paths) use(ns, path.backend);
      }
    }
    {
      // Before they are read: a change after that wakes us.
      const std::lock_guard lock(mutex_);
      used_ = used;
    }
    for (const std::string& key : used) {
      const client::ObjectKey parts = client::split_key(key);
      const ObjectName name{parts.ns, parts.name};
      if (auto service = factory_.informer<Service>().get(key)) inputs.services[name] = service;
      inputs.slices[name] = factory_.informer<EndpointSlice>().by_index(kByService, key);
    }
    for (const ObjectName& name : wanted_secrets(inputs)) inputs.secrets[name] = read_secret(name);
    return inputs;
  }

  /// By its name only: this user may not list secrets.
  TlsSecret read_secret(const ObjectName& name) {
    TlsSecret out;
    auto secret = client_.get<Secret>(name.ns, name.name);
    if (!secret.ok()) {
      // What cannot be read just now is no reason to drop a certificate that was good.
      const auto before = secrets_.find(name);
      if (!secret.status().is(Reason::kNotFound) && before != secrets_.end()) return before->second;
      out.problem = secret.status().is(Reason::kNotFound) ? "not found" : secret.status().message();
      return out;
    }
    const auto take = [&](const char* key) {
      const auto entry = secret->data.find(key);
      return entry == secret->data.end() ? std::string() : std::string(entry->second);
    };
    out.certificate_pem = take("tls.crt");
    out.key_pem = take("tls.key");
    if (secret->type != "kubernetes.io/tls") {
      out.problem = "is not of type kubernetes.io/tls";
    } else if (Status pair = net::check_key_pair(out.certificate_pem, out.key_pem); !pair.ok()) {
      out.problem = pair.message();
    }
    return out;
  }

  Status sync() {
    Inputs inputs = gather();
    Plan plan = make_plan(inputs);
    std::map<const TlsSecret*, std::string> files;
    std::set<std::string> kept;
    for (const auto& [name, secret] : inputs.secrets) {
      if (!secret.problem.empty()) continue;
      const std::string content = secret.certificate_pem + "\n" + secret.key_pem;
      const std::string file = content_name(name, content);
      const std::string path = options_.folder + "/certs/" + file;
      if (!linux::exists(path)) TRY(linux::replace_file(path, content, 0600));
      files[&secret] = path;
      kept.insert(file);
    }
    NginxSettings settings;
    settings.folder = options_.folder;
    settings.address = options_.address;
    settings.http_port = options_.http_port;
    settings.https_port = options_.https_port;
    settings.default_certificate = options_.folder + "/default.pem";
    settings.ipv6 = linux::exists("/proc/net/if_inet6");
    if (::geteuid() == 0) settings.user = "www-data";
    const std::string text = nginx_config(plan, settings, files);
    if (text != applied_) {
      TRY(nginx_->apply(text));
      if (!applied_.empty()) ++reloads_;
      applied_ = text;
      for (const std::string& file : linux::list_dir(options_.folder + "/certs")) {
        if (!kept.contains(file)) (void)linux::remove_tree(options_.folder + "/certs/" + file);
      }
    }
    secrets_ = std::move(inputs.secrets);
    tell(plan);
    return publish(plan);
  }

  /// Each problem once, for as long as it lasts.
  void tell(const Plan& plan) {
    std::set<std::tuple<std::string, std::string, std::string>> now;
    for (const Problem& problem : plan.problems) {
      const auto key = std::tuple(problem.ingress->metadata.uid, problem.reason, problem.message);
      if (now.insert(key).second && !told_.contains(key)) {
        events_.warning(*problem.ingress, problem.reason, problem.message);
      }
    }
    told_ = std::move(now);
    std::set<std::pair<std::string, int64_t>> synced;
    for (const auto& ingress : plan.claimed) {
      const auto key =
          std::pair(std::string(ingress->metadata.uid), static_cast<int64_t>(ingress->metadata.generation));
      synced.insert(key);
      if (!synced_.contains(key)) events_.normal(*ingress, "Sync", "Scheduled for sync");
    }
    synced_ = std::move(synced);
  }

  /// This node's addresses in every status, besides those of other nodes that serve the same.
  Status publish(const Plan& plan) {
    std::set<std::string> nodes;
    for (const auto& node : factory_.informer<Node>().list()) {
      nodes.merge(node_addresses(*node));
    }
    Status first;
    for (const auto& ingress : plan.claimed) {
      Status status = client::retry_on_conflict(*deps_.clock, [&]() -> Status {
        const std::vector<std::string> wanted = wanted_addresses(*ingress, nodes);
        if (addresses_in(*ingress) == wanted) return {};
        TRY_ASSIGN(Ingress fresh, client_.get<Ingress>(ingress->metadata.namespace_, ingress->metadata.name));
        const std::vector<std::string> addresses = wanted_addresses(fresh, nodes);
        if (addresses_in(fresh) == addresses) return {};
        fresh.status.load_balancer.ingress.clear();
        for (const std::string& address : addresses) fresh.status.load_balancer.ingress.emplace_back().ip = address;
        return client_.update_status(fresh).status();
      });
      if (!status.ok() && !status.is(Reason::kNotFound) && first.ok()) first = status;
    }
    return first;
  }

  static std::set<std::string> node_addresses(const Node& node) {
    std::set<std::string> out;
    for (const auto& address : node.status.addresses) out.insert(address.address);
    return out;
  }

  static std::vector<std::string> addresses_in(const Ingress& ingress) {
    std::vector<std::string> out;
    for (const auto& each : ingress.status.load_balancer.ingress) out.push_back(each.ip);
    return out;
  }

  std::vector<std::string> wanted_addresses(const Ingress& ingress, const std::set<std::string>& nodes) {
    std::set<std::string> wanted;
    {
      const std::lock_guard lock(mutex_);
      wanted.insert(published_.begin(), published_.end());
    }
    for (const std::string& address : addresses_in(ingress)) {
      if (nodes.contains(address)) wanted.insert(address);
    }
    return {wanted.begin(), wanted.end()};
  }

  Status make_default_certificate() {
    const std::string file = options_.folder + "/default.pem";
    const WallTime now = deps_.clock->now();
    if (auto before = linux::read_file(file); before.ok()) {
      auto info = net::parse_certificate(*before);
      if (info.ok() && info->not_after > now + std::chrono::hours(24)) return {};
    }
    net::CertificateSpec spec;
    spec.common_name = "Kubernetes Ingress Controller Fake Certificate";
    spec.organizations = {"Acme Co"};
    spec.dns_names = {"ingress.local"};
    spec.use = net::CertificateUse::kServer;
    spec.not_before = now - std::chrono::hours(1);
    spec.not_after = now + kCertificateLife;
    TRY_ASSIGN(const auto authority, net::create_authority(spec.common_name, spec.not_before, spec.not_after));
    TRY_ASSIGN(const auto pair, net::issue_certificate(authority, spec));
    return linux::replace_file(file, pair.certificate_pem + "\n" + pair.key_pem, 0600);
  }

  const IngressOptions options_;
  const IngressDeps deps_;
  client::Client client_;
  client::EventBroadcaster broadcaster_;
  client::EventRecorder events_;
  std::mutex mutex_;
  std::condition_variable_any wakeup_;
  bool changed_ = false;
  std::vector<std::string> published_;
  std::set<std::string> used_;  ///< Services that Ingresses name: "namespace/name".
  client::InformerFactory factory_;
  std::unique_ptr<Nginx> nginx_;
  // The thread's own.
  std::string applied_;
  std::map<ObjectName, TlsSecret> secrets_;
  std::set<std::tuple<std::string, std::string, std::string>> told_;
  std::set<std::pair<std::string, int64_t>> synced_;
  std::atomic<int> reloads_ = 0;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<IngressController>> IngressController::start(IngressOptions options, IngressDeps deps) {
  auto controller = std::make_unique<IngressControllerImpl>(std::move(options), std::move(deps));
  TRY(controller->begin());
  return std::unique_ptr<IngressController>(std::move(controller));
}

}  // namespace trireme::ingress
