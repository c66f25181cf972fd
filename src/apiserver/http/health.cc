#include "apiserver/http/health.h"

#include <algorithm>
#include <array>

namespace trireme::apiserver {

namespace {

constexpr std::array<std::string_view, 3> kEndpoints = {"healthz", "livez", "readyz"};
constexpr std::string_view kText = "text/plain; charset=utf-8";

}  // namespace

void Health::add(std::string name, std::function<Status()> check) {
  checks_.emplace_back(std::move(name), std::move(check));
}

bool Health::serve(RequestContext& context) const {
  std::string_view path = context.info.path;
  path.remove_prefix(1);
  size_t slash = path.find('/');
  std::string_view endpoint = path.substr(0, slash);
  if (std::find(kEndpoints.begin(), kEndpoints.end(), endpoint) == kEndpoints.end()) return false;
  std::string_view only = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);

  auto checks = checks_;
  checks.insert(checks.begin(), {"ping", [] { return Status(); }});
  if (endpoint == "readyz") {
    checks.emplace_back("shutdown",
                        [this] { return shutting_down_ ? Status::unavailable("process is shutting down") : Status(); });
  }
  std::vector<std::string> excluded = context.query.all("exclude");
  std::string report;
  bool healthy = true;
  bool found = only.empty();
  for (const auto& [name, check] : checks) {
    if (!only.empty() && name != only) continue;
    found = true;
    if (std::find(excluded.begin(), excluded.end(), name) != excluded.end()) {
      report += "[+]" + name + " excluded: ok\n";
      continue;
    }
    Status status = check();
    healthy = healthy && status.ok();
    // The reason may tell too much to a caller who is not known; it is in the log of whoever noticed it.
    report += status.ok() ? "[+]" + name + " ok\n" : "[-]" + name + " failed: reason withheld\n";
  }
  if (!found) return false;
  if (!healthy) {
    context.respond(500, kText, report + std::string(endpoint) + " check failed\n");
  } else if (only.empty() && context.query.has("verbose")) {
    context.respond(200, kText, report + std::string(endpoint) + " check passed\n");
  } else {
    context.respond(200, kText, "ok");
  }
  return true;
}

std::vector<std::string> Health::paths() const {
  std::vector<std::string> all;
  for (std::string_view endpoint : kEndpoints) {
    std::string base = "/" + std::string(endpoint);
    all.push_back(base);
    all.push_back(base + "/ping");
    for (const auto& [name, check] : checks_) all.push_back(base + "/" + name);
    if (endpoint == "readyz") all.push_back(base + "/shutdown");
  }
  return all;
}

}  // namespace trireme::apiserver
