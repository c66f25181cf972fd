#include "proxy/conntrack_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "linux/file.h"

namespace trireme::proxy {

int connections_limit(const ConntrackSettings& settings, int cores) {
  const int each = settings.max_per_core;
  return each > 0 ? std::max(each * cores, settings.min) : 0;
}

Status set_conntrack(const ConntrackSettings& settings, int cores, const std::string& folder) {
  Status first;
  const auto set = [&](const char* name, int64_t value, bool only_raise = false) {
    const std::string path = folder + "/" + name;
    if (value <= 0) return;
    auto text = linux::read_file(path);
    int64_t now = 0;
    if (text.ok()) std::from_chars(text->data(), text->data() + text->size(), now);
    if (text.ok() && (only_raise ? now >= value : now == value)) return;
    Status status = linux::write_existing(path, fmt::format("{}\n", value));
    if (status.ok()) log::info("Set a limit of connection tracking", {{"name", name}, {"value", value}});
    if (first.ok()) first = std::move(status);
  };
  const auto seconds = [](Duration duration) {
    return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  };
  set("nf_conntrack_max", connections_limit(settings, cores), true);
  set("nf_conntrack_tcp_timeout_established", seconds(settings.tcp_established_timeout));
  set("nf_conntrack_tcp_timeout_close_wait", seconds(settings.tcp_close_wait_timeout));
  set("nf_conntrack_tcp_be_liberal", settings.tcp_be_liberal ? 1 : 0);
  set("nf_conntrack_udp_timeout", seconds(settings.udp_timeout));
  set("nf_conntrack_udp_timeout_stream", seconds(settings.udp_stream_timeout));
  return first;
}

}  // namespace trireme::proxy
