#include "join/node_certificates.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/log.h"
#include "join/certificate_request.h"
#include "linux/file.h"

namespace trireme::join {
namespace {

constexpr std::string_view kClientSigner = "kubernetes.io/kube-apiserver-client-kubelet";
constexpr std::string_view kServingSigner = "kubernetes.io/kubelet-serving";
constexpr Duration kFirstTimeout = std::chrono::seconds(30);
constexpr Duration kRenewalTimeout = std::chrono::minutes(15);  // as long as kubelets wait for an approval
constexpr Duration kFirstRetry = std::chrono::seconds(1);
constexpr Duration kLongestRetry = std::chrono::minutes(5);
constexpr Duration kTemporaryLifetime = std::chrono::hours(24);
constexpr Duration kBackdate = std::chrono::hours(1);

/// Nodes of one age do not all renew at once.
double share() {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.7, 0.9)(random);
}

std::string client_file(const std::string& folder) { return folder + "/kubelet-client.pem"; }

Status save(const std::string& file, const net::CertifiedKey& pair) {
  return linux::replace_file(file, pair.certificate_pem + pair.key_pem, 0600);
}

}  // namespace

NodeCertificates::NodeCertificates(NodeCertificateOptions options, std::shared_ptr<Clock> clock)
    : options_(std::move(options)), clock_(std::move(clock)) {}

Result<net::CertifiedKey> NodeCertificates::read_pair(const std::string& file) {
  TRY_ASSIGN(const std::string text, linux::read_file(file));
  TRY(net::check_key_pair(text, text).with_context(file));
  return net::CertifiedKey{text, text};
}

NodeCertificates::Held NodeCertificates::held(const net::CertificateInfo& info) const {
  return {info, renewal_time(info, share())};
}

Result<std::shared_ptr<net::Transport>> NodeCertificates::connect(const net::CertifiedKey& pair) const {
  net::HttpTransportOptions options;
  options.base_url = options_.cluster.server;
  options.tls.ca_pem = options_.cluster.ca_pem;
  options.tls.certificate_pem = pair.certificate_pem;
  options.tls.key_pem = pair.key_pem;
  TRY_ASSIGN(std::shared_ptr<net::Transport> transport, net::http_transport(std::move(options)));
  return transport;
}

Status NodeCertificates::use_client(const net::CertifiedKey& pair) {
  TRY_ASSIGN(const net::CertificateInfo info, net::parse_certificate(pair.certificate_pem));
  TRY_ASSIGN(auto transport, connect(pair));
  if (transport_) {
    transport_->set(std::move(transport));
  } else {
    transport_ = std::make_shared<SwitchingTransport>(std::move(transport));
    client_.emplace(std::make_shared<client::RawClient>(transport_, "kubelet"));
  }
  const std::lock_guard lock(mutex_);
  client_held_ = held(info);
  return {};
}

Status NodeCertificates::load() {
  TRY_ASSIGN(const net::CertifiedKey pair, read_pair(client_file(options_.folder)));
  TRY_ASSIGN(const net::CertificateInfo info, net::parse_certificate(pair.certificate_pem));
  if (info.not_after <= clock_->now()) {
    return Status(Reason::kExpired, "this node's certificate has expired; a new token lets it join again");
  }
  return use_client(pair);
}

Status NodeCertificates::obtain(client::Client bootstrap) {
  net::CertifiedKey pair;
  TRY_ASSIGN(pair.key_pem, net::generate_key());
  TRY_ASSIGN(pair.certificate_pem,
             request_certificate(std::move(bootstrap), pair.key_pem, client_spec(options_.node_name), kClientSigner,
                                 kFirstTimeout, {}));
  TRY(save(client_file(options_.folder), pair));
  return use_client(pair);
}

Status NodeCertificates::prepare_serving(const std::vector<std::string>& addresses) {
  {
    const std::lock_guard lock(mutex_);
    addresses_ = addresses;
  }
  const WallTime now = clock_->now();
  if (auto pair = read_pair(serving_file()); pair.ok()) {
    auto info = net::parse_certificate(pair->certificate_pem);
    const bool good =
        info.ok() && info->not_after > now &&
        net::verify_certificate(pair->certificate_pem, options_.cluster.ca_pem, net::CertificateUse::kServer, now).ok();
    if (good) {
      const std::lock_guard lock(mutex_);
      serving_held_ = held(*info);
      return {};
    }
  }
  TRY_ASSIGN(const net::CertifiedKey nobody,
             net::create_authority(options_.node_name, now - kBackdate, now + kTemporaryLifetime));
  net::CertificateSpec spec = serving_spec(options_.node_name, addresses);
  spec.not_before = now - kBackdate;
  spec.not_after = now + kTemporaryLifetime;
  TRY_ASSIGN(const net::CertifiedKey pair, net::issue_certificate(nobody, spec));
  return save(serving_file(), pair);
}

bool NodeCertificates::serving_fits(const std::vector<std::string>& addresses) const {
  // Called with the lock.
  return serving_held_ && std::ranges::all_of(addresses, [&](const std::string& address) {
           return std::ranges::find(serving_held_->info.ip_addresses, address) !=
                  serving_held_->info.ip_addresses.end();
         });
}

Status NodeCertificates::renew_client(std::stop_token stop) {
  net::CertifiedKey pair;
  TRY_ASSIGN(pair.key_pem, net::generate_key());
  TRY_ASSIGN(pair.certificate_pem, request_certificate(*client_, pair.key_pem, client_spec(options_.node_name),
                                                       kClientSigner, kRenewalTimeout, std::move(stop)));
  TRY(save(client_file(options_.folder), pair));
  TRY(use_client(pair));
  log::info("The node's client certificate was renewed", {{"node", options_.node_name}});
  return {};
}

Status NodeCertificates::renew_serving(const std::vector<std::string>& addresses, std::stop_token stop) {
  net::CertifiedKey pair;
  TRY_ASSIGN(pair.key_pem, net::generate_key());
  TRY_ASSIGN(pair.certificate_pem,
             request_certificate(*client_, pair.key_pem, serving_spec(options_.node_name, addresses), kServingSigner,
                                 kRenewalTimeout, std::move(stop)));
  TRY_ASSIGN(const net::CertificateInfo info, net::parse_certificate(pair.certificate_pem));
  TRY(save(serving_file(), pair));
  {
    const std::lock_guard lock(mutex_);
    serving_held_ = held(info);
  }
  changed_.notify_all();
  log::info("The node's serving certificate was issued", {{"node", options_.node_name}});
  return {};
}

void NodeCertificates::start() {
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void NodeCertificates::stop() {
  thread_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    interrupt_.request_stop();
  }
  if (thread_.joinable()) thread_.join();
}

void NodeCertificates::set_addresses(std::vector<std::string> addresses) {
  bool gone = false;
  {
    const std::lock_guard lock(mutex_);
    if (addresses == addresses_) return;
    gone = !std::ranges::all_of(addresses_, [&](const std::string& address) {
      return std::ranges::find(addresses, address) != addresses.end();
    });
    addresses_ = std::move(addresses);
    ++generation_;
    interrupt_.request_stop();
    changed_.notify_all();
  }
  if (!gone) return;
  auto pair = read_pair(client_file(options_.folder));
  if (!pair.ok()) return;
  if (auto transport = connect(*pair); transport.ok()) transport_->replace(std::move(*transport));
}

bool NodeCertificates::wait_serving(Duration timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [&] { return serving_held_ && serving_fits(addresses_); });
}

void NodeCertificates::run(std::stop_token stop) {
  Duration retry = kFirstRetry;
  while (!stop.stop_requested()) {
    std::vector<std::string> addresses;
    uint64_t generation = 0;
    bool client_due = false;
    bool serving_due = false;
    std::stop_token interrupted;
    {
      const std::lock_guard lock(mutex_);
      addresses = addresses_;
      generation = generation_;
      const WallTime now = clock_->now();
      client_due = client_held_ && client_held_->renew_at <= now;
      serving_due = !serving_fits(addresses) || serving_held_->renew_at <= now;
      interrupt_ = std::stop_source();
      interrupted = interrupt_.get_token();
    }
    Status status;
    if (client_due) status = renew_client(stop);
    if (serving_due && !stop.stop_requested()) {
      Status serving = renew_serving(addresses, interrupted);
      if (status.ok()) status = serving;
    }
    if (stop.stop_requested()) return;

    std::unique_lock lock(mutex_);
    if (generation_ != generation) continue;  // interrupted for the new addresses
    Duration wait = retry;
    if (status.ok()) {
      const WallTime next = std::min(client_held_->renew_at, serving_held_->renew_at);
      wait = std::max<Duration>(next - clock_->now(), std::chrono::milliseconds(1));
      retry = kFirstRetry;
    } else {
      log::warning("A certificate of the node could not be renewed; will try again",
                   {{"node", options_.node_name}, {"error", status}});
      retry = std::min(retry * 2, kLongestRetry);
    }
    due_ = false;
    lock.unlock();
    const auto timer = clock_->call_after(wait, [this] {
      const std::lock_guard inner(mutex_);
      due_ = true;
      changed_.notify_all();
    });
    lock.lock();
    changed_.wait(lock, stop, [&] { return due_ || generation_ != generation; });
    lock.unlock();  // before the timer goes, whose callback takes the lock
  }
}

}  // namespace trireme::join
