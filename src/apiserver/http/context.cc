#include "apiserver/http/context.h"

#include <fmt/format.h>

#include "api/codec.h"
#include "api/status_convert.h"
#include "api/types/metav1.h"
#include "api/yaml.h"
#include "apiserver/http/metrics.h"
#include "base/log.h"

namespace trireme::apiserver {

namespace {

constexpr size_t kMaxAuditId = 256;

}  // namespace

std::string new_uuid(const api::RandomSource& random) {
  uint32_t a = random();
  uint32_t b = random();
  uint32_t c = random();
  uint32_t d = random();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{:08x}", a, b >> 16, b & 0xfff, 0x8000 | ((c >> 16) & 0x3fff),
                     c & 0xffff, d);
}

std::string indent_json(std::string_view json) {
  std::string out;
  out.reserve(json.size() * 2);
  int depth = 0;
  bool quoted = false;
  auto new_line = [&] {
    out += '\n';
    out.append(static_cast<size_t>(depth) * 2, ' ');
  };
  for (size_t i = 0; i < json.size(); ++i) {
    char c = json[i];
    if (quoted) {
      out += c;
      if (c == '\\' && i + 1 < json.size()) out += json[++i];
      if (c == '"') quoted = false;
      continue;
    }
    switch (c) {
      case '"':
        quoted = true;
        out += c;
        break;
      case '{':
      case '[':
        out += c;
        if (i + 1 < json.size() && (json[i + 1] == '}' || json[i + 1] == ']')) {
          out += json[++i];
        } else {
          ++depth;
          new_line();
        }
        break;
      case '}':
      case ']':
        --depth;
        new_line();
        out += c;
        break;
      case ',':
        out += c;
        new_line();
        break;
      case ':':
        out += ": ";
        break;
      default:
        out += c;
    }
  }
  return out;
}

RequestContext::RequestContext(std::shared_ptr<net::Exchange> exchange, std::shared_ptr<Metrics> metrics,
                               const Clock& clock, const api::RandomSource& random)
    : exchange_(std::move(exchange)), metrics_(std::move(metrics)), clock_(clock), started_(clock.monotonic()) {
  std::string_view given = request().headers.get("Audit-ID");
  audit_id_ = !given.empty() && given.size() <= kMaxAuditId ? std::string(given) : new_uuid(random);
}

net::Headers RequestContext::common_headers(std::string_view content_type, net::Headers headers) {
  headers.add("Audit-Id", audit_id_);
  if (!headers.has("Cache-Control")) headers.add("Cache-Control", "no-cache, private");
  if (!content_type.empty()) headers.add("Content-Type", std::string(content_type));
  for (const std::string& warning : warnings) {
    std::string quoted;
    for (char c : warning) {
      if (c == '"' || c == '\\') quoted += '\\';
      // A header is one line.
      quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    headers.add("Warning", fmt::format("299 - \"{}\"", quoted));
  }
  return headers;
}

void RequestContext::observe(int code) {
  metrics_->finished(info, custom != nullptr, code, clock_.monotonic() - started_);
}

void RequestContext::respond(int code, std::string_view content_type, std::vector<SharedBytes> body,
                             net::Headers headers) {
  observe(code);
  exchange_->respond(code, common_headers(content_type, std::move(headers)), std::move(body));
}

void RequestContext::respond(int code, std::string_view content_type, std::string body) {
  respond(code, content_type, std::vector<SharedBytes>{share(std::move(body))});
}

void RequestContext::respond_local(int code, std::string_view content_type, std::vector<SharedBytes> body,
                                   std::vector<net::LocalPart> parts) {
  observe(code);
  exchange_->respond_local(code, common_headers(content_type, {}), std::move(body), std::move(parts));
}

void RequestContext::fail(const Status& status) {
  api::metav1::Status wire = api::to_metav1(status);
  net::Headers headers;
  if (!status.ok() && status.details().retry_after_seconds > 0) {
    headers.add("Retry-After", std::to_string(status.details().retry_after_seconds));
  }
  if (status.code() >= 500 && status.is(Reason::kInternalError)) {
    log::error("Request failed", {{"verb", info.verb}, {"path", info.path}, {"error", status}});
  }
  if (accepted.media == Media::kProto) {
    return respond(status.code(), content_type(Media::kProto), {share(api::encode_proto(wire))}, std::move(headers));
  }
  std::string json = api::encode_json(wire);
  if (accepted.media == Media::kYaml) {
    if (auto yaml = api::json_to_yaml(json); yaml.ok()) {
      return respond(status.code(), content_type(Media::kYaml), {share(std::move(*yaml))}, std::move(headers));
    }
  }
  if (accepted.pretty) json = indent_json(json);
  respond(status.code(), content_type(Media::kJson), {share(std::move(json))}, std::move(headers));
}

void RequestContext::respond_object(int code, const api::TypeInfo& type, const void* object) {
  if (accepted.media == Media::kProto) {
    std::string raw;
    api::append_proto(type, object, raw);
    return respond(code, content_type(Media::kProto), api::wrap_proto(type.api_version, type.kind, raw));
  }
  std::string json;
  api::append_json(type, object, json);
  if (accepted.media == Media::kYaml) {
    auto yaml = api::json_to_yaml(json);
    if (!yaml.ok()) return fail(yaml.status());
    return respond(code, content_type(Media::kYaml), std::move(*yaml));
  }
  if (accepted.pretty) json = indent_json(json) + '\n';
  respond(code, content_type(Media::kJson), std::move(json));
}

void RequestContext::start_stream(int code, std::string_view content_type) {
  observe(code);
  exchange_->start(code, common_headers(content_type, {}));
}

}  // namespace trireme::apiserver
