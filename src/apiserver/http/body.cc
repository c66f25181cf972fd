#include "apiserver/http/body.h"

#include <fmt/format.h>

#include "api/codec.h"
#include "api/custom_resource.h"
#include "api/scheme.h"
#include "api/status_convert.h"
#include "api/types/metav1.h"
#include "api/value.h"
#include "api/yaml.h"
#include "apiserver/extensions/custom_objects.h"

namespace trireme::apiserver {

namespace {

std::string_view version_of(std::string_view api_version) {
  size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
}

/// Walks JSON text at one level; only as strict as finding the ends of values needs.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool next_is(char c) {
    skip_space();
    return at_ < text_.size() && text_[at_] == c;
  }
  /// The raw text of a string, without its quotes.
  bool string(std::string_view& out) {
    if (!take('"')) return false;
    size_t start = at_;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '"') {
        out = text_.substr(start, at_++ - start);
        return true;
      }
    }
    return false;
  }
  bool skip_value() {
    skip_space();
    int depth = 0;
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '"') {
        std::string_view ignored;
        if (!string(ignored)) return false;
        if (depth == 0) return true;
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') {
        if (depth == 0) return true;
        if (--depth == 0) {
          ++at_;
          return true;
        }
      }
      if (c == ',' && depth == 0) return true;
      ++at_;
    }
    return false;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

Status unrecognized(const api::TypeInfo& expected, std::string_view why) {
  return Status::bad_request(
      fmt::format("the object provided is unrecognized (must be of type {}): {}", expected.kind, why));
}

/// `Pod in version "v1" cannot be handled as a Pod: …`
Status unusable(const TypeMeta& given, const api::TypeInfo& expected, std::string_view why) {
  std::string_view kind = given.kind.empty() ? expected.kind : given.kind;
  std::string_view version = version_of(given.api_version.empty() ? expected.api_version : given.api_version);
  return Status::bad_request(
      fmt::format("{} in version \"{}\" cannot be handled as a {}: {}", kind, version, expected.kind, why));
}

Status check_type(const TypeMeta& given, const api::TypeInfo& expected) {
  std::string_view api_version = given.api_version.empty() ? expected.api_version : given.api_version;
  std::string_view kind = given.kind.empty() ? expected.kind : given.kind;
  if (kind == expected.kind && api_version == expected.api_version) return {};
  if (api::find_type(api_version, kind) == nullptr) {
    return unusable(given, expected, fmt::format("no kind \"{}\" is registered for version \"{}\"", kind, api_version));
  }
  if (api_version != expected.api_version) {
    return Status::bad_request(
        fmt::format("the API version in the data ({}) does not match the expected API version ({})", api_version,
                    expected.api_version));
  }
  return unusable(given, expected,
                  fmt::format("converting ({}.{}) to ({}.{}): unknown conversion", version_of(api_version), kind,
                              version_of(expected.api_version), expected.kind));
}

Result<api::Object> from_json(RequestContext& context, std::string_view json, const TypeMeta& given,
                              const api::TypeInfo& expected) {
  TRY_ASSIGN(FieldValidation validation, field_validation(context.query));
  api::DecodeNotes notes;
  api::Object object(expected);
  Status parsed =
      api::parse_json(expected, json, object.data(), validation == FieldValidation::kIgnore ? nullptr : &notes);
  if (!parsed.ok()) return parsed;  // says so itself
  if (api::CustomResource* custom = api::as_custom(object); custom != nullptr && context.custom) {
    std::vector<std::string> unknown;
    extensions::refine(*context.custom, *custom, validation == FieldValidation::kIgnore ? nullptr : &unknown);
    for (const std::string& path : unknown) notes.unknown.push_back("unknown field \"" + path + "\"");
  }
  if (notes.unknown.empty() && notes.duplicate.empty()) return object;
  std::vector<std::string> problems = std::move(notes.duplicate);
  for (std::string& unknown : notes.unknown) problems.push_back(std::move(unknown));
  if (validation == FieldValidation::kWarn) {
    for (std::string& problem : problems) context.warnings.push_back(std::move(problem));
    return object;
  }
  std::string all;
  for (const std::string& problem : problems) all += (all.empty() ? "" : ", ") + problem;
  return unusable(given, expected, "strict decoding error: " + all);
}

}  // namespace

Result<FieldValidation> field_validation(const Query& query) {
  const std::string& text = query.get("fieldValidation");
  if (text.empty() || text == api::metav1::kFieldValidationWarn) return FieldValidation::kWarn;
  if (text == api::metav1::kFieldValidationIgnore) return FieldValidation::kIgnore;
  if (text == api::metav1::kFieldValidationStrict) return FieldValidation::kStrict;
  return api::invalid("meta.k8s.io", "CreateOptions", "",
                      {api::field_error::not_supported("fieldValidation", text, {"Ignore", "Strict", "Warn", ""})});
}

Result<TypeMeta> peek_type(std::string_view json) {
  Scanner scanner(json);
  TypeMeta meta;
  if (!scanner.take('{')) return Status::bad_request("couldn't get version/kind; json parse error: not an object");
  if (scanner.take('}')) return meta;
  do {
    std::string_view key;
    std::string_view value;
    if (!scanner.string(key) || !scanner.take(':')) {
      return Status::bad_request("couldn't get version/kind; json parse error: invalid character");
    }
    if ((key == "kind" || key == "apiVersion") && scanner.next_is('"')) {
      if (!scanner.string(value)) break;
      (key == "kind" ? meta.kind : meta.api_version) = value;
      if (!meta.kind.empty() && !meta.api_version.empty()) return meta;
    } else if (!scanner.skip_value()) {
      return Status::bad_request("couldn't get version/kind; json parse error: unexpected end of JSON input");
    }
  } while (scanner.take(','));
  return meta;
}

Result<api::Object> decode_json(RequestContext& context, std::string_view json, const api::TypeInfo& expected) {
  auto given = peek_type(json);
  if (!given.ok()) return unrecognized(expected, given.status().message());
  TRY(check_type(*given, expected));
  return from_json(context, json, *given, expected);
}

Result<api::Object> decode_body(RequestContext& context, std::string body, const api::TypeInfo& expected) {
  TRY_ASSIGN(Media media, body_media(context.request().headers.get("Content-Type")));
  if (media == Media::kYaml) {
    auto json = api::yaml_to_json(body);
    if (!json.ok()) return unrecognized(expected, json.status().message());
    return decode_json(context, *json, expected);
  }
  if (media == Media::kJson) return decode_json(context, body, expected);

  auto unwrapped = api::unwrap_proto(body);
  if (!unwrapped.ok()) return unrecognized(expected, unwrapped.status().message());
  TypeMeta given{std::string(unwrapped->api_version), std::string(unwrapped->kind)};
  TRY(check_type(given, expected));
  if (api::is_custom(expected)) {
    return Status(Reason::kUnsupportedMediaType,
                  "the body of the request was in an unknown format - accepted media types include: application/json, "
                  "application/yaml");
  }
  api::Object object(expected);
  Status parsed = api::parse_proto(expected, unwrapped->raw, object.data());
  if (!parsed.ok()) return unusable(given, expected, parsed.message());
  return object;
}

Result<bool> dry_run(const std::vector<std::string>& values) {
  if (values.empty()) return false;
  for (const std::string& value : values) {
    if (value == api::metav1::kDryRunAll) continue;
    return api::invalid("meta.k8s.io", "CreateOptions", "",
                        {api::field_error::not_supported("dryRun", value, {"All"})});
  }
  return true;
}

Result<api::metav1::DeleteOptions> delete_options(RequestContext& context, std::string body) {
  using api::metav1::DeleteOptions;
  const Query& query = context.query;
  DeleteOptions options;
  if (!body.empty()) {
    TRY_ASSIGN(Media media, body_media(context.request().headers.get("Content-Type")));
    TypeMeta given;
    if (media == Media::kProto) {
      TRY_ASSIGN(auto unwrapped, api::unwrap_proto(body));
      given = {std::string(unwrapped.api_version), std::string(unwrapped.kind)};
      TRY(api::parse_proto(api::type_info<DeleteOptions>(), unwrapped.raw, &options));
    } else {
      if (media == Media::kYaml) {
        TRY_ASSIGN(body, api::yaml_to_json(body));
      }
      TRY_ASSIGN(given, peek_type(body));
      TRY(api::parse_json(api::type_info<DeleteOptions>(), body, &options));
    }
    // The kind exists in every group's version.
    if (!given.kind.empty() && given.kind != "DeleteOptions") {
      return unusable(given, api::type_info<DeleteOptions>(), "unexpected kind");
    }
  } else {
    TRY_ASSIGN(options.grace_period_seconds, query.number("gracePeriodSeconds"));
    if (query.has("propagationPolicy")) options.propagation_policy = query.get("propagationPolicy");
    if (query.has("orphanDependents")) options.orphan_dependents = query.flag("orphanDependents");
  }
  for (std::string& value : query.all("dryRun")) options.dry_run.push_back(std::move(value));
  if (options.grace_period_seconds && *options.grace_period_seconds < 0) options.grace_period_seconds = 1;
  if (options.propagation_policy && options.orphan_dependents) {
    return api::invalid("meta.k8s.io", "DeleteOptions", "",
                        {api::field_error::invalid("propagationPolicy", *options.propagation_policy,
                                                   "orphanDependents and deletionPropagation cannot be both set")});
  }
  if (options.propagation_policy) {
    const std::string& policy = *options.propagation_policy;
    if (policy != "Orphan" && policy != "Background" && policy != "Foreground") {
      return api::invalid("meta.k8s.io", "DeleteOptions", "",
                          {api::field_error::not_supported("propagationPolicy", policy,
                                                           {"Foreground", "Background", "Orphan", "nil"})});
    }
  }
  return options;
}

}  // namespace trireme::apiserver
