#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace trireme::policy {

/// IPv6 addresses of this thread's namespace serve at once: no second is spent on asking whether somebody else has
/// them.
bool skip_address_checks();

/// A machine: a thread in a network namespace of its own, which runs what it is given. Everything is gone with it.
class Host {
 public:
  Host();
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void run(std::function<void()> task);
  /// A link "eth0" with these addresses ("10.0.0.1/24"), whose other end is `peer` in the caller's namespace; packets
  /// for elsewhere go to `gateways`.
  void connect(const std::string& peer, const std::vector<std::string>& addresses,
               const std::vector<std::string>& gateways);
  /// Accepts TCP connections and answers UDP datagrams on these ports, on all addresses.
  void serve(const std::vector<uint16_t>& ports);

  struct Target {
    std::string address;
    uint16_t port = 0;
    bool udp = false;
  };
  /// Which of the targets answer, all tried at the same time. `patience` is how long silence is waited out.
  std::vector<bool> reach(const std::vector<Target>& targets, std::chrono::milliseconds patience);
  /// One ICMP or ICMPv6 echo request.
  bool ping(const std::string& address, std::chrono::milliseconds patience);

 private:
  void loop(std::stop_token stop);
  static void serve_loop(std::stop_token stop, std::vector<uint16_t> ports, std::promise<void>* listening);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::function<void()> task_;
  pid_t thread_id_ = 0;
  std::jthread thread_;
  std::jthread server_;
};

}  // namespace trireme::policy
