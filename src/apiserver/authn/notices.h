#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trireme::apiserver::authn {

/// Collects what an authenticator wants to tell the caller beside who it is (Warning headers), as long as it exists:
/// for everything that this thread authenticates meanwhile. They may be nested; the innermost collects.
class Notices {
 public:
  Notices() : outer_(std::exchange(current_, this)) {}
  ~Notices() { current_ = outer_; }
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;

  std::vector<std::string> take() { return std::move(texts_); }

  /// Nobody collects: the text is lost.
  static void add(std::string text) {
    if (current_ != nullptr) current_->texts_.push_back(std::move(text));
  }

 private:
  static inline thread_local Notices* current_ = nullptr;
  Notices* const outer_;
  std::vector<std::string> texts_;
};

}  // namespace trireme::apiserver::authn
