#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/client.h"

namespace trireme::kubelet {

/// Service account tokens bound to pods, from the TokenRequest API (KEP-1205). A token is renewed when four fifths of
/// its life or 24 hours have passed; should that fail, the old one serves until it expires. Thread-safe.
class TokenSource {
 public:
  struct Token {
    std::string text;
    WallTime renew_at;
    WallTime expires_at;
  };

  TokenSource(client::Client client, std::shared_ptr<Clock> clock)
      : client_(std::move(client)), clock_(std::move(clock)) {}

  Result<Token> token(const api::corev1::Pod& pod, const std::string& audience, int64_t expiration_seconds);
  void forget_pod(const std::string& pod_uid);

 private:
  using Key = std::tuple<std::string, std::string, int64_t>;  // pod uid, audience, seconds

  client::Client client_;
  const std::shared_ptr<Clock> clock_;
  std::mutex mutex_;
  std::map<Key, Token> tokens_;
};

}  // namespace trireme::kubelet
