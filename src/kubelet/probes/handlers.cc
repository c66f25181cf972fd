#include "kubelet/probes/handlers.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "net/transport.h"

namespace trireme::kubelet {
namespace {

constexpr size_t kMaxOutput = 10 * 1024;

std::string clipped(std::string text) {
  if (text.size() > kMaxOutput) text.resize(kMaxOutput);
  return text;
}

std::string host_port(const std::string& host, int port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

bool valid_port(int port) { return port > 0 && port < 65536; }

/// Connects without blocking beyond `timeout`; returns 0 or an errno.
int connect_within(const addrinfo& address, Duration timeout) {
  int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int error = 0;
  if (::connect(fd, address.ai_addr, address.ai_addrlen) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      pollfd waiting{fd, POLLOUT, 0};
      auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
      int ready = ::poll(&waiting, 1, static_cast<int>(milliseconds));
      socklen_t size = sizeof(error);
      if (ready == 0) {
        error = ETIMEDOUT;
      } else {
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
  }
  // No TIME_WAIT: a probe every second would collect thousands of them.
  linger reset{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  ::close(fd);
  return error;
}

}  // namespace

int resolve_port(const api::IntOrString& port, const api::corev1::Container& container) {
  if (port.is_int()) return port.int_value();
  const std::string& name = port.string_value();
  for (const auto& candidate : container.ports) {
    if (candidate.name == name) return candidate.container_port;
  }
  int number = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

HandlerOutcome run_exec(cri::Runtime& runtime, const std::string& container_id, const api::corev1::ExecAction& action,
                        std::chrono::seconds timeout) {
  auto result = runtime.exec_sync(container_id, action.command, timeout);
  if (!result.ok()) {
    if (result.status().is(Reason::kTimeout)) {
      return {false, fmt::format("command timed out: \"{}\" timed out after {}s", fmt::join(action.command, " "),
                                 timeout.count())};
    }
    return {false, result.status().message()};
  }
  return {result->exit_code == 0, clipped(result->output + result->error_output)};
}

HandlerOutcome run_http_get(const api::corev1::HTTPGetAction& action, const api::corev1::Container& container,
                            const std::string& default_host, Duration timeout, const char* user_agent) {
  int port = resolve_port(action.port, container);
  if (!valid_port(port)) return {false, "invalid port number: " + action.port.to_string()};
  std::string host = action.host.empty() ? default_host : action.host;
  std::string scheme = action.scheme == "HTTPS" ? "https" : "http";
  net::HttpTransportOptions options;
  options.base_url = fmt::format("{}://{}", scheme, host_port(host, port));
  options.tls.insecure_skip_verify = true;
  options.connect_timeout = timeout;
  options.timeout = timeout;
  options.max_response_bytes = kMaxOutput;
  options.max_idle_connections = 0;
  auto transport = net::http_transport(options);
  if (!transport.ok()) return {false, transport.status().message()};
  net::Request request;
  request.target = action.path.starts_with('/') ? action.path : "/" + action.path;
  for (const auto& header : action.http_headers) request.headers.add(header.name, header.value);
  if (!request.headers.has("User-Agent")) request.headers.add("User-Agent", user_agent);
  if (!request.headers.has("Accept")) request.headers.add("Accept", "*/*");
  if (!request.headers.has("Connection")) request.headers.add("Connection", "close");
  auto stream = (*transport)->open(request);
  std::string url = options.base_url + request.target;
  if (!stream.ok()) return {false, fmt::format("Get \"{}\": {}", url, stream.status().message())};
  int status = (*stream)->status();
  std::string body;
  while (body.size() < kMaxOutput) {
    auto chunk = (*stream)->read({}, timeout);
    if (!chunk.ok() || chunk->empty()) break;
    body += *chunk;
  }
  if (status >= 200 && status < 400) return {true, clipped(std::move(body))};
  return {false, fmt::format("HTTP probe failed with statuscode: {}", status)};
}

HandlerOutcome run_tcp_socket(const api::corev1::TCPSocketAction& action, const api::corev1::Container& container,
                              const std::string& default_host, Duration timeout) {
  int port = resolve_port(action.port, container);
  if (!valid_port(port)) return {false, "invalid port number: " + action.port.to_string()};
  std::string host = action.host.empty() ? default_host : action.host;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* addresses = nullptr;
  if (int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &addresses); error != 0) {
    return {false, fmt::format("dial tcp: lookup {}: {}", host, ::gai_strerror(error))};
  }
  int error = connect_within(*addresses, timeout);
  ::freeaddrinfo(addresses);
  if (error == 0) return {true, {}};
  return {false, fmt::format("dial tcp {}: {}", host_port(host, port),
                             error == ETIMEDOUT ? "i/o timeout" : std::strerror(error))};
}

}  // namespace trireme::kubelet
