#include "apiserver/http/request_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/selectors.h"
#include "net/http.h"

namespace trireme::apiserver {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

Result<std::vector<std::string>> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  while (!path.empty()) {
    size_t slash = path.find('/');
    TRY_ASSIGN(std::string part, net::percent_decode(path.substr(0, slash)));
    parts.push_back(std::move(part));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

std::string verb_of(std::string_view method) {
  if (method == "POST") return "create";
  if (method == "GET" || method == "HEAD") return "get";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  return "";
}

}  // namespace

Query::Query(std::string_view encoded) : pairs_(net::parse_query(encoded)) {}

const std::string* Query::find(std::string_view name) const {
  for (const auto& [key, value] : pairs_) {
    if (key == name) return &value;
  }
  return nullptr;
}

const std::string& Query::get(std::string_view name) const {
  static const std::string none;
  const std::string* value = find(name);
  return value != nullptr ? *value : none;
}

std::vector<std::string> Query::all(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : pairs_) {
    if (key == name) values.push_back(value);
  }
  return values;
}

bool Query::flag(std::string_view name) const {
  const std::string* value = find(name);
  if (value == nullptr) return false;
  std::string text = lower(*value);
  return text != "false" && text != "0";
}

Result<std::optional<int64_t>> Query::number(std::string_view name) const {
  const std::string* value = find(name);
  if (value == nullptr || value->empty()) return std::optional<int64_t>();
  int64_t number = 0;
  auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (error != std::errc() || end != value->data() + value->size()) {
    return Status::bad_request(fmt::format("strconv.ParseInt: parsing \"{}\": invalid syntax", *value));
  }
  return std::optional<int64_t>(number);
}

Result<RequestInfo> parse_request_info(std::string_view method, std::string_view path, const Query& query) {
  RequestInfo info;
  info.verb = lower(method);
  TRY_ASSIGN(info.path, net::percent_decode(path));
  TRY_ASSIGN(std::vector<std::string> parts, split_path(path));

  if (parts.size() < 3 || (parts[0] != "api" && parts[0] != "apis")) return info;
  size_t next = 1;
  if (parts[0] == "apis") {
    if (parts.size() < 4) return info;
    info.group = parts[next++];
  }
  info.api_prefix = parts[0];
  info.is_resource = true;
  info.version = parts[next++];
  info.verb = verb_of(method);
  if (parts[next] == "watch" && next + 1 < parts.size()) {
    info.verb = "watch";
    info.watch_path = true;
    ++next;
  }

  if (parts[next] == "namespaces" && next + 1 < parts.size()) {
    info.ns = parts[next + 1];
    bool of_the_namespace = next + 2 >= parts.size() || parts[next + 2] == "status" || parts[next + 2] == "finalize";
    if (!of_the_namespace) next += 2;
  }
  info.parts.assign(parts.begin() + static_cast<std::ptrdiff_t>(next), parts.end());
  info.resource = info.parts[0];
  if (info.parts.size() > 1) info.name = info.parts[1];
  if (info.parts.size() > 2) info.subresource = info.parts[2];

  if (info.name.empty() && info.verb == "get") {
    info.verb = query.flag("watch") ? "watch" : "list";
  }
  if (info.name.empty() && info.verb == "delete") info.verb = "deletecollection";
  // A collection narrowed to one name is authorized as that name.
  if (info.name.empty() && (info.verb == "list" || info.verb == "watch" || info.verb == "deletecollection")) {
    auto selector = api::FieldSelector::parse(query.get("fieldSelector"));
    if (selector.ok()) {
      if (const std::string* name = selector->exact("metadata.name")) info.name = *name;
    }
  }
  return info;
}

authz::Attributes attributes_of(const RequestInfo& info, const authn::UserInfo& user) {
  authz::Attributes attributes;
  attributes.user = user;
  attributes.verb = info.verb;
  attributes.group = info.group;
  attributes.version = info.version;
  attributes.resource = info.resource;
  attributes.subresource = info.subresource;
  attributes.namespace_ = info.ns;
  attributes.name = info.name;
  attributes.path = info.path;
  attributes.is_resource = info.is_resource;
  return attributes;
}

}  // namespace trireme::apiserver
