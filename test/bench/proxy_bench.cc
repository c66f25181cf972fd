// The service proxy with 10,000 services of five endpoints each: writing all rules, changing one endpoint, memory, and
// how fast connections are through them, beside direct ones and beside the same services as iptables chains.
//
//   proxy_bench [services] [connections]      as root; everything happens in network namespaces of its own
#include <arpa/inet.h>
#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "linux/process.h"
#include "proxy/applier.h"
#include "proxy/testing/objects.h"
#include "support/wires.h"

namespace {

using namespace trireme;
using proxy::Change;
using proxy::Planner;
using proxy::ServiceView;
using Steady = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "{}\n", what);
  std::exit(1);
}
void must(const Status& status) {
  if (!status.ok()) fail(status.to_string());
}
double ms_since(Steady::time_point begin) {
  return std::chrono::duration<double, std::milli>(Steady::now() - begin).count();
}
double cpu_ms() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}
double resident_mb() {
  malloc_trim(0);
  size_t total = 0;
  size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return static_cast<double>(resident * static_cast<size_t>(sysconf(_SC_PAGESIZE))) / 1e6;
}

std::string service_address(int i) { return fmt::format("10.96.{}.{}", i / 250, i % 250 + 1); }
/// Of the last service the endpoints are pods that answer, of the others addresses that nobody has.
std::string endpoint_address(int i, int k, int services) {
  if (i == services - 1) return "10.244.1.2";
  int n = i * 5 + k;
  return fmt::format("10.245.{}.{}", n / 250, n % 250 + 1);
}
int endpoint_port(int i, int k, int services) { return i == services - 1 ? 8080 : 8080 + k; }

ServiceView make(int i, int services, int moved = -1) {
  std::string name = fmt::format("service-{}", i);
  auto slice = proxy::testing::make_slice(name, {});
  slice->address_type = "IPv4";
  for (int k = 0; k < 5; ++k) {
    api::discoveryv1::Endpoint endpoint;
    endpoint.addresses = {k == moved ? std::string("10.246.0.1") : endpoint_address(i, k, services)};
    endpoint.conditions.ready = true;
    endpoint.node_name = "other";
    slice->endpoints.push_back(std::move(endpoint));
  }
  return {proxy::testing::make_service(name, {service_address(i)}), {slice}};
}

/// The same services as chains of probability rules, the way of the iptables mode.
std::string iptables_rules(int services) {
  std::string out = "*nat\n:SERVICES - [0:0]\n";
  std::string rules = "-A PREROUTING -j SERVICES\n-A OUTPUT -j SERVICES\n";
  for (int i = 0; i < services; ++i) {
    out += fmt::format(":SVC-{} - [0:0]\n", i);
    rules += fmt::format("-A SERVICES -d {}/32 -p tcp -m tcp --dport 80 -j SVC-{}\n", service_address(i), i);
    for (int k = 0; k < 5; ++k) {
      out += fmt::format(":SEP-{}-{} - [0:0]\n", i, k);
      std::string chance = k == 4 ? "" : fmt::format(" -m statistic --mode random --probability {:.8f}", 1.0 / (5 - k));
      rules += fmt::format("-A SVC-{0}{2} -j SEP-{0}-{1}\n", i, k, chance);
      rules += fmt::format("-A SEP-{}-{} -p tcp -m tcp -j DNAT --to-destination {}:{}\n", i, k,
                           endpoint_address(i, k, services), endpoint_port(i, k, services));
    }
  }
  return out + rules + "COMMIT\n";
}

struct Rate {
  double per_second = 0;
  double p50_us = 0;
  double p99_us = 0;
};

/// Connections one after the other, each read to its end.
Rate connect_many(const test::Peer& from, const std::string& address, int port, int count) {
  Rate rate;
  from.in([&] {
    std::vector<double> times;
    times.reserve(static_cast<size_t>(count));
    auto begin = Steady::now();
    for (int i = 0; i < count; ++i) {
      auto start = Steady::now();
      int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(static_cast<uint16_t>(port));
      ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
      char buffer[128];
      if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0 || ::read(fd, buffer, sizeof(buffer)) <= 0) {
        fail(fmt::format("{}:{} does not answer", address, port));
      }
      const linger reset{1, 0};  // no TIME_WAIT: the ports would run out
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
      ::close(fd);
      times.push_back(std::chrono::duration<double, std::micro>(Steady::now() - start).count());
    }
    rate.per_second = count / (ms_since(begin) / 1e3);
    std::sort(times.begin(), times.end());
    rate.p50_us = times[times.size() / 2];
    rate.p99_us = times[times.size() * 99 / 100];
  });
  return rate;
}

void print(const char* name, const Rate& rate) {
  fmt::print("  {:<44} {:>8.0f}/s   p50 {:>6.0f} us   p99 {:>6.0f} us\n", name, rate.per_second, rate.p50_us,
             rate.p99_us);
}

}  // namespace

int main(int argc, char** argv) {
  const int services = argc > 1 ? std::atoi(argv[1]) : 10000;
  const int connections = argc > 2 ? std::atoi(argv[2]) : 3000;
  if (auto reason = test::NetNamespace::why_not()) fail(*reason);
  test::Wires wires;
  test::Peer& pod = wires.add_pod(2);
  test::Answerer answerer(pod, "a", 8080);
  test::Peer& client = wires.client();
  const Rate direct_before = connect_many(client, "10.244.1.2", 8080, connections);

  double before = resident_mb();
  std::map<std::string, ServiceView> world;
  std::vector<std::string> keys;
  for (int i = 0; i < services; ++i) {
    keys.push_back(fmt::format("default/service-{}", i));
    world[keys.back()] = make(i, services);
  }
  fmt::print("{} services x 5 endpoints\n  the objects themselves: {:.1f} MB\n", services, resident_mb() - before);
  before = resident_mb();
  auto applier = proxy::nft_applier();
  must(applier.status());
  proxy::Options options;
  options.cluster_cidrs = {*proxy::parse_prefix("10.244.0.0/15")};
  Planner planner(options, false);
  planner.set_node({.name = "here"});
  const auto look = [&](const std::string& key) { return world[key]; };
  auto begin = Steady::now();
  double cpu = cpu_ms();
  { Change all = planner.update(keys, look); }
  double planned = ms_since(begin);
  must((*applier)->replace(planner));
  fmt::print("  all rules, from nothing: {:.0f} ms (planning {:.0f} ms), {:.0f} ms of processor time\n",
             ms_since(begin), planned, cpu_ms() - cpu);
  fmt::print("  what the proxy keeps: {:.1f} MB, {} elements, {} chains\n", resident_mb() - before, planner.entries(),
             planner.chains().size());

  std::vector<double> times;
  cpu = cpu_ms();
  for (int n = 0; n < 40; ++n) {
    int i = n * 131 % (services - 1);
    world[keys[static_cast<size_t>(i)]] = make(i, services, n % 5);
    auto start = Steady::now();
    Change change = planner.update({keys[static_cast<size_t>(i)]}, look);
    must((*applier)->apply(false, change));
    times.push_back(ms_since(start));
  }
  std::sort(times.begin(), times.end());
  fmt::print("  one endpoint changes: p50 {:.2f} ms, worst of 40 {:.2f} ms, {:.2f} ms of processor time each\n",
             times[times.size() / 2], times.back(), (cpu_ms() - cpu) / 40);
  begin = Steady::now();
  must((*applier)->replace(planner));
  fmt::print("  taking over what stands already: {:.0f} ms\n", ms_since(begin));

  fmt::print("connections from outside, one after the other, {} each\n", connections);
  print("direct, without any rules", direct_before);
  print("direct, with the rules", connect_many(client, "10.244.1.2", 8080, connections));
  print("through the last service", connect_many(client, service_address(services - 1), 80, connections));

  must(proxy::remove_tables());
  std::string file = fmt::format("/tmp/proxy_bench.{}.rules", ::getpid());
  std::ofstream(file) << iptables_rules(services);
  begin = Steady::now();
  auto restored = linux::run_program({"iptables-restore", file});
  if (restored.ok()) {
    fmt::print("the same as iptables chains: written in {:.0f} ms\n", ms_since(begin));
    print("through the last service, by chains", connect_many(client, service_address(services - 1), 80, connections));
    begin = Steady::now();
    auto one = linux::run_program({"iptables", "-w", "-t", "nat", "-R", "SEP-0-0", "1", "-p", "tcp", "-m", "tcp", "-j",
                                   "DNAT", "--to-destination", "10.246.0.1:8080"});
    fmt::print("  one endpoint changes, by chains: {:.1f} ms\n", ms_since(begin));
  } else {
    fmt::print("iptables-restore failed: {}\n", restored.status().message().substr(0, 200));
  }
  ::unlink(file.c_str());
  return 0;
}
