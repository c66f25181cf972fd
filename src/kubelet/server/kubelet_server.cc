#include "kubelet/server/kubelet_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>

#include "api/codec.h"
#include "base/log.h"
#include "kubelet/server/log_streamer.h"
#include "kubelet/server/stats.h"
#include "net/server.h"

namespace trireme::kubelet {
namespace {

using net::Exchange;

constexpr size_t kMaxQueued = 1 << 20;  // what a slow reader may leave unread

std::vector<std::string> segments(std::string_view path) {
  std::vector<std::string> parts;
  for (size_t start = 1; start <= path.size();) {
    size_t end = std::min(path.find('/', start), path.size());
    auto decoded = net::percent_decode(path.substr(start, end - start));
    parts.push_back(decoded.ok() ? *decoded : std::string());
    start = end + 1;
  }
  return parts;
}

void respond_text(Exchange& exchange, int code, std::string text) {
  exchange.respond(code, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(text));
}

void respond_failure(Exchange& exchange, const Status& status) {
  respond_text(exchange, status.code(), status.message());
}

/// Waits for a slow reader, so that a stream never queues more than it should.
class Throttle {
 public:
  explicit Throttle(const std::shared_ptr<Exchange>& exchange)
      : exchange_(exchange), state_(std::make_shared<State>()) {
    exchange->on_drained([state = state_] { state->signal(); });
    exchange->on_closed([state = state_] { state->signal(); });
  }
  /// False when the reader is gone.
  bool write(std::string text) {
    if (exchange_->closed()) return false;
    if (text.empty()) return true;
    uint64_t before = state_->signals.load();
    if (exchange_->write(share(std::move(text))) > kMaxQueued) {
      std::unique_lock lock(state_->mutex);
      state_->changed.wait(lock, [&] { return state_->signals.load() != before || exchange_->closed(); });
    }
    return !exchange_->closed();
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::atomic<uint64_t> signals = 0;
    void signal() {
      std::lock_guard lock(mutex);
      ++signals;
      changed.notify_all();
    }
  };
  std::shared_ptr<Exchange> exchange_;
  std::shared_ptr<State> state_;
};

class KubeletServerImpl final : public KubeletServer, public net::Handler {
 public:
  KubeletServerImpl(NodeServices& node, PodManager& pods) : node_(node), pods_(pods), stats_(node, pods) {}
  ~KubeletServerImpl() override { stop(); }

  Status listen() {
    net::ServerOptions options;
    options.address = node_.options.address;
    options.port = node_.options.port;
    options.workers = 2;
    options.tls = net::TlsServerOptions{node_.options.tls_cert_file, node_.options.tls_private_key_file,
                                        node_.options.client_ca_file};
    TRY_ASSIGN(server_, net::Server::start(options, *this));
    port_ = server_->port();
    return {};
  }

  uint16_t port() const override { return port_; }

  void stop() override {
    stopping_ = true;
    stopped_.request_stop();
    server_.reset();
  }

  void handle(std::shared_ptr<Exchange> exchange) override {
    const net::Request& request = exchange->request();
    if (!request.peer.certificate) return respond_text(*exchange, 401, "Unauthorized");
    if (!allowed(*request.peer.certificate)) {
      return respond_text(*exchange, 403,
                          fmt::format("Forbidden (user={}, verb={}, resource=nodes)",
                                      request.peer.certificate->common_name, request.method));
    }
    std::vector<std::string> path = segments(request.path());
    if (request.method != "GET") return respond_text(*exchange, 405, "Method Not Allowed");
    std::string first = path.empty() ? "" : path[0];
    if (first == "healthz") return respond_text(*exchange, 200, "ok");
    if (first == "pods") return respond_pods(*exchange, false);
    if (first == "runningpods") return respond_pods(*exchange, true);
    if (first == "containerLogs" && path.size() == 4) return respond_logs(exchange, path[1], path[2], path[3]);
    if (first == "stats" && path.size() == 2 && path[1] == "summary") {
      return respond_summary(exchange);
    }
    if (first == "metrics" && path.size() == 2 && path[1] == "resource") {
      return respond_generated(*exchange, "text/plain; version=0.0.4; charset=utf-8", stats_.resource_metrics());
    }
    respond_text(*exchange, 404, "404 page not found\n");
  }

 private:
  bool allowed(const net::CertificateSubject& subject) const {
    const auto& names = node_.options.server_allowed_names;
    const auto& groups = subject.organizations;
    return std::find(groups.begin(), groups.end(), "system:masters") != groups.end() ||
           std::find(names.begin(), names.end(), subject.common_name) != names.end();
  }

  void respond_generated(Exchange& exchange, const char* type, Result<std::string> body) {
    if (!body.ok()) return respond_failure(exchange, body.status());
    exchange.respond(200, {{"Content-Type", type}}, std::move(*body));
  }

  void respond_summary(const std::shared_ptr<Exchange>& exchange) {
    const std::string query(exchange->request().query());
    const bool only_cpu_and_memory = query.find("only_cpu_and_memory=true") != std::string::npos;
    // It may have to wait for a second look.
    node_.pool.post([this, exchange, only_cpu_and_memory] {
      respond_generated(*exchange, "application/json", stats_.summary(only_cpu_and_memory, stopped_.get_token()));
    });
  }

  void respond_pods(Exchange& exchange, bool running_only) {
    api::corev1::PodList list;
    for (api::corev1::Pod& pod : pods_.pods()) {
      if (!running_only || pod.status.phase == "Running") list.items.push_back(std::move(pod));
    }
    exchange.respond(200, {{"Content-Type", "application/json"}}, api::encode_json(list));
  }

  /// Where the log of the container (or the one before it) is, and its id.
  struct LogSource {
    std::string path;
    std::string container_id;
  };
  Result<LogSource> find_log(const std::string& ns, const std::string& name, const std::string& container,
                             bool previous) {
    auto worker = pods_.find(ns, name);
    if (!worker) return Status::not_found(fmt::format("pod \"{}\" does not exist", name));
    auto pod = worker->pod();
    if (find_container(*pod, container) == nullptr) {
      return Status::bad_request(fmt::format("container \"{}\" is not valid for pod \"{}\"", container, name));
    }
    TRY_ASSIGN(RuntimePod runtime, node_.observer.observe(pod->metadata.uid));
    const cri::ContainerStatus* status = runtime.latest(container);
    if (previous) {
      // Of a container that waits for its next turn, the latest is the one that ended.
      const cri::ContainerStatus* before = runtime.previous(container);
      bool ended = status != nullptr && status->state == cri::ContainerState::kExited && before == nullptr;
      status = ended && status->attempt > 0 ? status : before;
      if (status == nullptr) {
        return Status::bad_request(
            fmt::format("previous terminated container \"{}\" in pod \"{}\" not found", container, name));
      }
    }
    if (status == nullptr || status->state == cri::ContainerState::kCreated) {
      std::string reason = "ContainerCreating";
      api::corev1::Pod merged = worker->pod_with_status();
      for (const auto* list : {&merged.status.container_statuses, &merged.status.init_container_statuses}) {
        for (const auto& entry : *list) {
          if (entry.name == container && entry.state.waiting) reason = entry.state.waiting->reason;
        }
      }
      return Status::bad_request(
          fmt::format("container \"{}\" in pod \"{}\" is waiting to start: {}", container, name, reason));
    }
    std::string path = status->log_path;
    if (path.empty()) {
      path = fmt::format("{}/{}/{}.log", pod_log_directory(node_.options.pod_logs_dir, ns, name, pod->metadata.uid),
                         container, status->attempt);
    }
    return LogSource{path, status->id};
  }

  void respond_logs(const std::shared_ptr<Exchange>& exchange, const std::string& ns, const std::string& name,
                    const std::string& container) {
    auto options = parse_log_options(exchange->request().query(), node_.clock->now());
    if (!options.ok()) return respond_failure(*exchange, options.status());
    auto source = find_log(ns, name, container, options->previous);
    if (!source.ok()) return respond_failure(*exchange, source.status());
    // A follower may stay for days: not on the server's few workers.
    node_.pool.post([this, exchange, options = *options, source = *source] {
      exchange->start(200, {{"Content-Type", "text/plain"}});
      Throttle throttle(exchange);
      auto running = [&] {
        if (stopping_) return false;
        auto status = node_.runtime->container_status(source.container_id);
        return status.ok() && status->state == cri::ContainerState::kRunning;
      };
      Status status = stream_log(source.path, options, running,
                                 [&](std::string text) { return !stopping_ && throttle.write(std::move(text)); });
      if (!status.ok()) log::warning("Could not read a log to its end", {{"path", source.path}, {"error", status}});
      exchange->finish();
    });
  }

  NodeServices& node_;
  PodManager& pods_;
  StatsProvider stats_;
  std::atomic<bool> stopping_ = false;
  std::stop_source stopped_;
  uint16_t port_ = 0;
  std::unique_ptr<net::Server> server_;
};

}  // namespace

Result<std::unique_ptr<KubeletServer>> KubeletServer::start(NodeServices& node, PodManager& pods) {
  auto server = std::make_unique<KubeletServerImpl>(node, pods);
  TRY(server->listen());
  return std::unique_ptr<KubeletServer>(std::move(server));
}

}  // namespace trireme::kubelet
