#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "net/http.h"
#include "net/server.h"
#include "net/transport.h"
#include "net/x509.h"

/// What this folder's tests share.
namespace trireme::net {

/// Waits in tests end after this; only a failing test ever takes so long.
constexpr std::chrono::seconds kPatience{20};

/// A handler from a function.
class FunctionHandler final : public Handler {
 public:
  using Function = std::function<void(std::shared_ptr<Exchange>)>;
  explicit FunctionHandler(Function function) : function_(std::move(function)) {}
  void handle(std::shared_ptr<Exchange> exchange) override { function_(std::move(exchange)); }

 private:
  Function function_;
};

/// A gate that threads wait at until it opens.
class Event {
 public:
  void set() {
    std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return set_; });
  }
  bool is_set() {
    std::lock_guard lock(mutex_);
    return set_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

/// Hands a value from the thread that has it to the one that waits for it.
template <typename T>
class Slot {
 public:
  void put(T value) {
    std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  T take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return !values_.empty(); })) {
      ADD_FAILURE() << "nothing arrived";
      return T{};
    }
    T value = std::move(values_.front());
    values_.erase(values_.begin());
    return value;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> values_;
};

/// A socket that speaks whatever bytes a test likes.
class RawClient {
 public:
  explicit RawClient(uint16_t port, int receive_buffer = 0) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0) {
      ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    timeval limit{.tv_sec = kPatience.count(), .tv_usec = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }
  /// Reads until `text` has come; returns everything so far unread. What came without it, when the peer closed.
  std::string read_until(std::string_view text) {
    size_t end;
    while ((end = received_.find(text)) == std::string::npos) {
      if (!read_some()) return std::exchange(received_, {});
    }
    std::string head = received_.substr(0, end + text.size());
    received_.erase(0, end + text.size());
    return head;
  }
  std::string read_all() {
    while (read_some()) {
    }
    return std::exchange(received_, {});
  }
  bool read_some() {
    char buffer[16384];
    const ssize_t count = ::recv(descriptor_, buffer, sizeof buffer, 0);
    if (count <= 0) return false;
    received_.append(buffer, static_cast<size_t>(count));
    return true;
  }
  std::string take_received() { return std::exchange(received_, {}); }
  void finish_sending() { ::shutdown(descriptor_, SHUT_WR); }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  std::string received_;
};

/// A directory that lasts as long as the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "net-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;

  std::string path(std::string_view name) const { return (path_ / name).string(); }
  /// Replaces the file as a certificate manager does: a new file, then a rename.
  std::string write(std::string_view name, std::string_view content) const {
    const std::string target = path(name);
    std::ofstream(target + ".new") << content;
    std::filesystem::rename(target + ".new", target);
    return target;
  }

 private:
  std::filesystem::path path_;
};

/// An authority and certificates for a server on 127.0.0.1.
struct TestCertificates {
  WallTime now = std::chrono::system_clock::now();
  CertifiedKey authority = make_authority("test-ca");
  CertifiedKey server = issue(authority, {.common_name = "server",
                                          .dns_names = {"localhost"},
                                          .ip_addresses = {"127.0.0.1"},
                                          .use = CertificateUse::kServer});
  CertifiedKey client =
      issue(authority, {.common_name = "alice", .organizations = {"dev", "ops"}, .use = CertificateUse::kClient});

  CertifiedKey make_authority(std::string_view name) const {
    auto made = create_authority(name, now - std::chrono::hours(1), now + std::chrono::hours(24));
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return std::move(made).value();
  }
  CertifiedKey issue(const CertifiedKey& by, CertificateSpec spec) const {
    if (spec.not_after == WallTime{}) {
      spec.not_before = now - std::chrono::hours(1);
      spec.not_after = now + std::chrono::hours(1);
    }
    auto made = issue_certificate(by, spec);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return std::move(made).value();
  }
  /// Writes the files a server wants.
  TlsServerOptions server_options(const TemporaryDirectory& directory) const {
    return {.certificate_file = directory.write("tls.crt", server.certificate_pem),
            .key_file = directory.write("tls.key", server.key_pem),
            .client_ca_file = directory.write("ca.crt", authority.certificate_pem)};
  }
};

inline std::unique_ptr<Server> start_server(Handler& handler, ServerOptions options = {}) {
  auto server = Server::start(std::move(options), handler);
  EXPECT_TRUE(server.ok()) << server.status().to_string();
  return server.ok() ? std::move(server).value() : nullptr;
}

inline std::unique_ptr<Transport> connect(HttpTransportOptions options) {
  auto transport = http_transport(std::move(options));
  EXPECT_TRUE(transport.ok()) << transport.status().to_string();
  return transport.ok() ? std::move(transport).value() : nullptr;
}

inline std::string url(const Server& server, std::string_view scheme = "http") {
  return std::string(scheme) + "://127.0.0.1:" + std::to_string(server.port());
}

}  // namespace trireme::net
