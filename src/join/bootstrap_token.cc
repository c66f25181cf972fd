#include "join/bootstrap_token.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "api/time.h"

namespace trireme::join {
namespace {

constexpr size_t kIdLength = 6;
constexpr size_t kSecretLength = 16;
constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kType = "bootstrap.kubernetes.io/token";
constexpr std::string_view kGroupPrefix = "system:bootstrappers:";
constexpr std::string_view kUsagePrefix = "usage-bootstrap-";

bool is_word(std::string_view text) { return text.find_first_not_of(kAlphabet) == std::string_view::npos; }

std::string random_word(size_t length) {
  // Bytes beyond the last whole multiple of the alphabet are thrown away, so that every character is as likely.
  constexpr size_t kFair = 256 / kAlphabet.size() * kAlphabet.size();
  std::string word;
  while (word.size() < length) {
    std::array<unsigned char, 64> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
    for (const unsigned char byte : bytes) {
      if (byte < kFair && word.size() < length) word += kAlphabet[byte % kAlphabet.size()];
    }
  }
  return word;
}

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ",")); }

/// "23h", "59m", "10s", "6d": the largest unit that counts at least 2, as kubectl shows ages.
std::string short_duration(Duration duration) {
  const int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < 0) return "<invalid>";
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (seconds < 120 * 60) return fmt::format("{}m", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / (24 * 3600));
}

}  // namespace

Result<BootstrapToken> BootstrapToken::parse(std::string_view text) {
  const bool valid = text.size() == kIdLength + 1 + kSecretLength && text[kIdLength] == '.' &&
                     is_word(text.substr(0, kIdLength)) && is_word(text.substr(kIdLength + 1));
  if (!valid) {
    return Status::bad_request(
        "the token does not have the form id.secret: six and sixteen characters out of a-z and 0-9");
  }
  return BootstrapToken{std::string(text.substr(0, kIdLength)), std::string(text.substr(kIdLength + 1))};
}

BootstrapToken BootstrapToken::generate() { return {random_word(kIdLength), random_word(kSecretLength)}; }

Result<api::corev1::Secret> token_secret(const BootstrapToken& token, const TokenSettings& settings, WallTime now) {
  if (settings.ttl < Duration::zero()) return Status::bad_request("a token's ttl cannot be negative");
  api::corev1::Secret secret;
  secret.metadata.name = std::string(kTokenSecretPrefix) + token.id;
  secret.metadata.namespace_ = "kube-system";
  secret.type = kType;
  secret.data["token-id"] = token.id;
  secret.data["token-secret"] = token.secret;
  if (!settings.description.empty()) secret.data["description"] = settings.description;
  if (settings.ttl > Duration::zero()) {
    secret.data["expiration"] =
        api::Time(now + std::chrono::duration_cast<WallTime::duration>(settings.ttl)).to_string();
  }
  for (const std::string& usage : settings.usages) {
    if (usage != "signing" && usage != "authentication") {
      return Status::bad_request(fmt::format("\"{}\" is no usage of a token: signing, authentication", usage));
    }
    secret.data[std::string(kUsagePrefix) + usage] = "true";
  }
  for (const std::string& group : settings.groups) {
    if (!group.starts_with(kGroupPrefix) || group.size() == kGroupPrefix.size()) {
      return Status::bad_request(fmt::format("\"{}\" is no group of a token: they begin with {}", group, kGroupPrefix));
    }
  }
  if (!settings.groups.empty()) secret.data["auth-extra-groups"] = joined(settings.groups);
  return secret;
}

std::string token_table(const std::vector<api::corev1::Secret>& secrets, WallTime now) {
  struct Row {
    std::string expiration;  // in RFC 3339 of UTC, which sorts as time does
    std::array<std::string, 6> cells;
  };
  std::vector<Row> rows;
  for (const auto& secret : secrets) {
    const auto token = BootstrapToken::parse(secret.data.get("token-id") + "." + secret.data.get("token-secret"));
    if (secret.type != kType || !token.ok()) continue;
    Row row;
    row.cells = {token->text(),
                 "<forever>",
                 "<never>",
                 "",
                 secret.data.get("description"),
                 secret.data.get("auth-extra-groups")};
    row.expiration = "~";  // after every time
    if (const std::string text = secret.data.get("expiration"); !text.empty()) {
      row.expiration = text;
      row.cells[2] = text;
      const auto end = api::Time::parse(text);
      row.cells[1] = end.ok() ? short_duration(end->wall() - now) : "<invalid>";
      if (end.ok() && end->wall() <= now) row.cells[1] = "<expired>";
    }
    std::vector<std::string> usages;
    for (const std::string_view usage : {"authentication", "signing"}) {
      if (secret.data.get(std::string(kUsagePrefix) + std::string(usage)) == "true") usages.emplace_back(usage);
    }
    row.cells[3] = joined(usages);
    for (std::string& cell : row.cells) {
      if (cell.empty()) cell = "<none>";
    }
    rows.push_back(std::move(row));
  }
  std::ranges::stable_sort(rows, {}, &Row::expiration);
  rows.insert(rows.begin(), Row{"", {"TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"}});
  std::array<size_t, 6> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row.cells[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) line += fmt::format("{:<{}}", row.cells[i], widths[i] + 3);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string join_command(std::string_view server_url, const BootstrapToken& token, std::string_view ca_hash) {
  const size_t scheme = server_url.find("://");
  if (scheme != std::string_view::npos) server_url.remove_prefix(scheme + 3);
  return fmt::format("trireme join {} --token {} --ca-hash {}", server_url, token.text(), ca_hash);
}

}  // namespace trireme::join
