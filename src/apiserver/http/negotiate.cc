#include "apiserver/http/negotiate.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "net/http.h"

namespace trireme::apiserver {

namespace {

constexpr std::string_view kAcceptedTypes = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
constexpr size_t kMaxClauses = 64;

struct MediaName {
  Media media;
  std::string_view name;
};
constexpr std::array<MediaName, 3> kMedia = {{{Media::kJson, "application/json"},
                                              {Media::kYaml, "application/yaml"},
                                              {Media::kProto, "application/vnd.kubernetes.protobuf"}}};

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Takes the part before `separator` off the front of `text`.
std::string_view take(std::string_view& text, char separator) {
  size_t end = text.find(separator);
  std::string_view part = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return trim(part);
}

}  // namespace

std::vector<AcceptClause> parse_accept(std::string_view accept) {
  std::vector<AcceptClause> clauses;
  while (!accept.empty() && clauses.size() < kMaxClauses) {
    std::string_view text = take(accept, ',');
    if (text.empty()) continue;
    AcceptClause clause;
    clause.type = take(text, ';');
    while (!text.empty()) {
      std::string_view value = take(text, ';');
      std::string_view key = take(value, '=');
      if (key == "q") clause.quality = std::strtod(std::string(value).c_str(), nullptr);
      if (key == "as") clause.as = value;
      if (key == "g") clause.group = value;
      if (key == "v") clause.version = value;
    }
    clauses.push_back(std::move(clause));
  }
  std::stable_sort(clauses.begin(), clauses.end(),
                   [](const AcceptClause& a, const AcceptClause& b) { return a.quality > b.quality; });
  return clauses;
}

bool matches(const AcceptClause& clause, std::string_view media_type) {
  if (clause.type == media_type || clause.type == "*/*") return true;
  return clause.type == "application/*" && media_type.starts_with("application/");
}

Status not_acceptable() {
  return {Reason::kNotAcceptable, "only the following media types are accepted: " + std::string(kAcceptedTypes)};
}

Result<Accepted> negotiate(std::string_view accept, const Offer& offer) {
  if (trim(accept).empty()) return Accepted{};
  for (const AcceptClause& clause : parse_accept(accept)) {
    if (offer.local && clause.type == net::kLocalMediaType && clause.as.empty())
      return Accepted{.media = Media::kProto, .local = true};
    for (const MediaName& each : kMedia) {
      if (!matches(clause, each.name)) continue;
      if (each.media == Media::kYaml && !offer.yaml) continue;
      if (each.media == Media::kProto && !offer.proto) continue;
      Accepted accepted{.media = each.media};
      if (!clause.as.empty()) {
        if (!offer.views || clause.group != "meta.k8s.io" || clause.version != "v1") continue;
        if (clause.as == "Table" && each.media != Media::kProto) {
          accepted.view = View::kTable;
        } else if (clause.as == "PartialObjectMetadata" || clause.as == "PartialObjectMetadataList") {
          accepted.view = View::kPartial;
        } else {
          continue;
        }
      }
      return accepted;
    }
  }
  return not_acceptable();
}

std::string_view content_type(Media media, bool stream) {
  switch (media) {
    case Media::kJson:
      return "application/json";
    case Media::kYaml:
      return "application/yaml";
    case Media::kProto:
      return stream ? "application/vnd.kubernetes.protobuf;stream=watch" : "application/vnd.kubernetes.protobuf";
  }
  return "application/json";
}

Result<Media> body_media(std::string_view content_type) {
  std::string_view type = take(content_type, ';');
  if (type.empty()) return Media::kJson;
  for (const MediaName& each : kMedia) {
    if (type == each.name) return each.media;
  }
  return Status(Reason::kUnsupportedMediaType,
                "the body of the request was in an unknown format - accepted media types include: " +
                    std::string(kAcceptedTypes));
}

}  // namespace trireme::apiserver
