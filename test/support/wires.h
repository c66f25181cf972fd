#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/net_namespace.h"

/// A node with its pods and a client outside, each in a network namespace, joined by wires:
///
///   client 192.0.2.2 --- 192.0.2.1 node 10.244.1.1 --- (bridge) pods 10.244.1.x
///                                       10.244.2.1 --- pods of "another node", 10.244.2.x
///
/// The node's is the namespace of the thread that makes this. IPv6 likewise: 2001:db8:2::, fd00:244:1:: and so on.
namespace trireme::test {

/// A namespace of its own, beside the node's.
class Peer {
 public:
  Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer();
  /// Runs on a thread inside it, to its end.
  void in(const std::function<void()>& act) const;
  /// As `ip link set … netns` takes it.
  std::string path() const;

 private:
  int fd_ = -1;
};

/// Answers TCP connections and UDP datagrams with its name and who it sees: "a 192.0.2.2".
class Answerer {
 public:
  Answerer(const Peer& where, std::string name, int port);
  ~Answerer();

 private:
  void run(const std::stop_token& stop);
  std::string name_;
  int tcp_ = -1;
  int udp_ = -1;
  int stop_ = -1;
  std::jthread thread_;
};

/// A UDP client that keeps its port.
class UdpClient {
 public:
  explicit UdpClient(const Peer& where);
  ~UdpClient();
  /// "a 192.0.2.2", "refused" or "timeout".
  std::string ask(const std::string& address, int port);

 private:
  int socket_ = -1;
};

class Wires {
 public:
  Wires();
  ~Wires();

  /// Joins a pod of this node; its address's last number.
  Peer& add_pod(int number) { return add(number, true); }
  Peer& add_remote_pod(int number) { return add(number, false); }
  Peer& client() { return *client_; }
  /// Opens a connection and reads the answer: "a 192.0.2.2", "refused" or "timeout". From the node when `from` is null.
  std::string connect(const Peer* from, const std::string& address, int port);

 private:
  Peer& add(int number, bool local);
  NetNamespace node_;
  std::unique_ptr<Peer> client_;
  std::vector<std::unique_ptr<Peer>> pods_;
};

/// All rules of this thread's namespace as `nft list ruleset` prints them; ends the test where that fails.
std::string nft_list();

}  // namespace trireme::test
