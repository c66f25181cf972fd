// What the way between two pods costs: TCP from one namespace to another over a bare veth pair, routed through two
// machines (host-gw), and through a VXLAN tunnel as the overlay sets it up. Needs root. Prints medians.
//
//   overlay_bench [SECONDS_A_RUN [RUNS]]
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "linux/file.h"
#include "linux/netlink_client.h"
#include "overlay/applier.h"
#include "support/test_machine.h"

namespace trireme {
namespace {

using linux::Netlink;
using Clock = std::chrono::steady_clock;

void must(const Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "overlay_bench: {}\n", status.to_string());
  std::exit(1);
}

Netlink open_netlink() {
  auto netlink = Netlink::open();
  must(netlink.status());
  return std::move(*netlink);
}

/// A machine with a pod: "wire" leads to the other machine, the pod's eth0 to this one.
struct Host {
  test::TestMachine machine;
  test::TestMachine pod;
};

int up_with(Netlink& netlink, const std::string& name, const std::string& address) {
  const int link = netlink.link(name)->index;
  must(netlink.add_address({link, *IpPrefix::parse(address), 0, 0}));
  must(netlink.set_up(link, true));
  return link;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Sample {
  double gigabits;
  double cpu_seconds_per_gigabyte;
};

/// Sends as fast as it goes for `duration`, from namespace to namespace, and reads it there.
Sample transfer(const test::TestMachine& from, const test::TestMachine& to, const std::string& target,
                std::chrono::milliseconds duration) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(5001);
  ::inet_pton(AF_INET, target.c_str(), &address.sin_addr);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  const int listener = to.run([&] {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, raw, sizeof address) != 0 || ::listen(fd, 1) != 0)
      must(linux::errno_status("listen", target, errno));
    return fd;
  });
  const int sender = from.run([&] {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, raw, sizeof address) != 0) must(linux::errno_status("connect", target, errno));
    return fd;
  });
  const int receiver = ::accept(listener, nullptr, nullptr);
  const double cpu_before = cpu_seconds();
  const auto began = Clock::now();
  std::thread source([&] {
    std::vector<char> block(size_t{128} << 10);
    while (Clock::now() - began<duration&& ::send(sender, block.data(), block.size(), MSG_NOSIGNAL)> 0) {
    }
    ::shutdown(sender, SHUT_WR);
  });
  std::vector<char> block(size_t{256} << 10);
  double bytes = 0;
  for (ssize_t got = 0; (got = ::recv(receiver, block.data(), block.size(), 0)) > 0;) bytes += static_cast<double>(got);
  source.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  for (const int fd : {listener, sender, receiver}) ::close(fd);
  return {bytes * 8 / seconds / 1e9, (cpu_seconds() - cpu_before) / (bytes / 1e9)};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void measure(const char* name, const Host& from, const Host& to, const std::string& target,
             std::chrono::milliseconds duration, int runs) {
  std::vector<double> gigabits;
  std::vector<double> cpu;
  for (int run = 0; run < runs; ++run) {
    const Sample sample = transfer(from.pod, to.pod, target, duration);
    gigabits.push_back(sample.gigabits);
    cpu.push_back(sample.cpu_seconds_per_gigabyte);
  }
  fmt::print("{:<24}{:>8.2f} Gbit/s {:>8.2f} CPU s/GB  ({} runs of {} ms)\n", name, median(gigabits), median(cpu), runs,
             duration.count());
}

overlay::Lease lease(int number, std::string_view backend) {
  overlay::Lease out;
  out.name = fmt::format("n{}", number);
  out.subnet = *IpPrefix::parse(fmt::format("10.244.{}.0/24", number));
  out.public_ip = *IpAddress::parse(fmt::format("192.0.2.{}", number));
  out.backend_type = backend;
  out.vni = 1;
  out.vtep_mac = *overlay::MacAddress::parse(fmt::format("0a:58:00:00:00:{:02}", number));
  return out;
}

void program(const Host& host, int number, std::string_view backend) {
  host.machine.run([&] {
    Netlink netlink = open_netlink();
    auto config = overlay::parse_network_config(
        fmt::format(R"({{"Network": "10.244.0.0/16", "Backend": {{"Type": "{}"}}}})", backend));
    must(config.status());
    overlay::PlanInput input;
    input.config = *config;
    input.external = {netlink.link("wire")->index, "wire", 1500, lease(number, backend).public_ip, {}};
    input.own = lease(number, backend);
    input.others = {lease(3 - number, backend)};
    must(overlay::Applier(netlink).apply(overlay::make_plan(input), input));
  });
}

int run(std::chrono::milliseconds duration, int runs) {
  if (auto reason = test::TestMachine::why_not()) {
    fmt::print(stderr, "overlay_bench: {}\n", *reason);
    return 1;
  }
  std::array<Host, 2> hosts;
  hosts[0].machine.run([&] {
    must(open_netlink().add_link({"wire", "veth", 1500, {}, {}, "wire", hosts[1].machine.fd()}));
  });
  hosts[0].pod.run([&] {
    must(open_netlink().add_link({"direct", "veth", 1500, {}, {}, "direct", hosts[1].pod.fd()}));
  });
  for (int i = 0; i < 2; ++i) {
    Host& host = hosts[static_cast<size_t>(i)];
    host.machine.run([&] {
      must(linux::write_existing("/proc/sys/net/ipv4/ip_forward", "1\n"));
      Netlink netlink = open_netlink();
      up_with(netlink, "wire", fmt::format("192.0.2.{}/24", i + 1));
      must(netlink.add_link({"pod", "veth", 1450, {}, {}, "eth0", host.pod.fd()}));
      up_with(netlink, "pod", fmt::format("10.244.{}.1/24", i + 1));
    });
    host.pod.run([&] {
      Netlink netlink = open_netlink();
      up_with(netlink, "direct", fmt::format("198.51.100.{}/24", i + 1));
      const int link = up_with(netlink, "eth0", fmt::format("10.244.{}.2/24", i + 1));
      linux::Route route;
      route.destination = *IpPrefix::parse("10.244.0.0/16");
      route.gateway = *IpAddress::parse(fmt::format("10.244.{}.1", i + 1));
      route.link = link;
      must(netlink.add_route(route));
    });
  }
  measure("veth, no machine between", hosts[0], hosts[1], "198.51.100.2", duration, runs);
  for (int i = 0; i < 2; ++i) program(hosts[static_cast<size_t>(i)], i + 1, "host-gw");
  measure("host-gw", hosts[0], hosts[1], "10.244.2.2", duration, runs);
  for (int i = 0; i < 2; ++i) program(hosts[static_cast<size_t>(i)], i + 1, "vxlan");
  measure("VXLAN", hosts[0], hosts[1], "10.244.2.2", duration, runs);
  return 0;
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  const int runs = argc > 2 ? std::max(1, std::atoi(argv[2])) : 5;
  return trireme::run(std::chrono::milliseconds(static_cast<int>(seconds * 1000)), runs);
}
