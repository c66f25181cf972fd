#include "ingress/nginx_config.h"

#include <fmt/format.h>

#include <iterator>
#include <vector>

namespace trireme::ingress {
namespace {

constexpr std::string_view kHead = R"(daemon off;
worker_processes 2;
worker_rlimit_nofile 8192;
worker_shutdown_timeout 60s;
events {
  worker_connections 4096;
}
http {
  access_log off;
  server_tokens off;
  default_type text/plain;
  server_names_hash_bucket_size 512;
  server_names_hash_max_size 8192;
  map_hash_bucket_size 128;
  keepalive_timeout 75s;
  client_max_body_size 1m;
  merge_slashes off;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:trireme:10m;
  ssl_session_timeout 10m;
  ssl_session_tickets off;
  map $http_upgrade $connection_upgrade {
    default upgrade;
    '' '';
  }
  proxy_http_version 1.1;
  proxy_connect_timeout 5s;
  proxy_read_timeout 60s;
  proxy_send_timeout 60s;
  proxy_next_upstream error timeout;
  proxy_next_upstream_tries 3;
  proxy_buffer_size 8k;
  proxy_set_header Host $http_host;
  proxy_set_header X-Request-ID $request_id;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Forwarded-Port $server_port;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Scheme $scheme;
  proxy_set_header X-Scheme $scheme;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
)";

class Text {
 public:
  Text(const NginxSettings& settings, const std::map<const TlsSecret*, std::string>& certificates)
      : settings_(settings), certificates_(certificates) {}

  std::string run(const Plan& plan) {
    if (!settings_.user.empty()) line(0, "user {};", quoted(settings_.user));
    line(0, "pid {};", quoted(settings_.folder + "/nginx.pid"));
    line(0, "error_log {} warn;", quoted(settings_.folder + "/error.log"));
    out_ += kHead;
    for (const Upstream& each : plan.upstreams) upstream(each);
    for (const VirtualServer& each : plan.servers) server(each);
    out_ += "}\n";
    return std::move(out_);
  }

 private:
  template <typename... T>
  void line(int depth, fmt::format_string<T...> format, T&&... arguments) {
    out_.append(static_cast<size_t>(2 * depth), ' ');
    fmt::format_to(std::back_inserter(out_), format, std::forward<T>(arguments)...);
    out_ += '\n';
  }

  void upstream(const Upstream& upstream) {
    if (upstream.endpoints.empty()) return;
    line(1, "upstream {} {{", quoted(upstream.name));
    // Each worker's own count, from a place of its own: not all begin with the first endpoint.
    line(2, "random;");
    for (const std::string& endpoint : upstream.endpoints) {
      line(2, "server {} max_fails=1 fail_timeout=1s;", quoted(endpoint));
    }
    line(2, "keepalive 32;");
    line(1, "}}");
    with_endpoints_.insert(upstream.name);
  }

  void listen(std::string_view address, bool any) {
    const char* mark = any ? " default_server" : "";
    line(2, "listen {}{};", quoted(fmt::format("{}:{}", address, settings_.http_port)), mark);
    line(2, "listen {} ssl http2{};", quoted(fmt::format("{}:{}", address, settings_.https_port)), mark);
  }

  void server(const VirtualServer& server) {
    line(1, "server {{");
    const bool any = server.host.empty();
    if (!settings_.address.empty()) {
      const bool v6 = settings_.address.find(':') != std::string::npos;
      listen(v6 ? "[" + settings_.address + "]" : settings_.address, any);
    } else {
      listen("0.0.0.0", any);
      if (settings_.ipv6) listen("[::]", any);
    }
    if (any) {
      line(2, "server_name _;");
    } else if (server.host.starts_with("*.")) {
      // The star stands for one label, and nginx's own for any number.
      std::string pattern;
      for (const char c : std::string_view(server.host).substr(1)) pattern += c == '.' ? "\\." : std::string(1, c);
      line(2, "server_name {};", quoted("~^[^.]+" + pattern + "$"));
    } else {
      line(2, "server_name {};", quoted(server.host));
    }
    const auto own = certificates_.find(server.tls);
    const std::string& file = own == certificates_.end() ? settings_.default_certificate : own->second;
    line(2, "ssl_certificate {};", quoted(file));
    line(2, "ssl_certificate_key {};", quoted(file));
    locations(server);
    line(1, "}}");
  }

  void locations(const VirtualServer& server) {
    std::set<std::string_view> exact;
    bool everything = false;
    for (const Location& location : server.locations) {
      if (location.match == Location::Match::kExact) {
        exact.insert(location.path);
        one("= ", location.path, location.upstream);
      }
    }
    for (const Location& location : server.locations) {
      if (location.match == Location::Match::kExact) continue;
      if (location.path.empty()) {
        everything = true;
        one("", "/", location.upstream);
        continue;
      }
      if (!exact.contains(location.path)) one("= ", location.path, location.upstream);
      one("^~ ", location.path + "/", location.upstream);
    }
    if (!everything) line(2, "location / {{ return 404 \"default backend - 404\\n\"; }}");
  }

  void one(std::string_view modifier, const std::string& path, const std::string& upstream) {
    if (!with_endpoints_.contains(upstream)) {
      line(2, "location {}{} {{ return 503 \"503 Service Temporarily Unavailable\\n\"; }}", modifier, quoted(path));
      return;
    }
    // Without a path behind it: the request's own goes on unchanged.
    line(2, "location {}{} {{ proxy_pass {}; }}", modifier, quoted(path), quoted("http://" + upstream));
  }

  const NginxSettings& settings_;
  const std::map<const TlsSecret*, std::string>& certificates_;
  std::string out_;
  std::set<std::string> with_endpoints_;
};

}  // namespace

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    // Others (and the line's end, which quotes do not mind) cannot come so far; a zero byte would end the file.
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) continue;
    out += c;
  }
  return out + '"';
}

std::string nginx_config(const Plan& plan, const NginxSettings& settings,
                         const std::map<const TlsSecret*, std::string>& certificates) {
  return Text(settings, certificates).run(plan);
}

}  // namespace trireme::ingress
