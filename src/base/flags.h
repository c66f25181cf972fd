#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace trireme {

/// Command-line flags bound to variables. Accepts what users of Kubernetes have in their fingers and unit files:
/// `--name value`, `--name=value`, one dash or two, and underscores for dashes. Booleans take `--name` or
/// `--name=false`.
class FlagSet {
 public:
  /// `usage` is the line that `help` begins with: "trireme up [flags]".
  explicit FlagSet(std::string usage) : usage_(std::move(usage)) {}

  /// The variable's value when the flag is added is the default that `help` shows.
  void add(std::string name, std::string* value, std::string help);
  void add(std::string name, bool* value, std::string help);
  void add(std::string name, int* value, std::string help);
  void add(std::string name, int64_t* value, std::string help);
  void add(std::string name, double* value, std::string help);
  void add(std::string name, Duration* value, std::string help);
  /// Comma-separated; repeating the flag appends.
  void add(std::string name, std::vector<std::string>* value, std::string help);
  /// Accepted and ignored, for flags of older releases.
  void add_ignored(std::string name);

  /// Parsing ends at the first word that is no flag, as Go's flag package does (kubecfg).
  void stop_at_first_argument() { stop_at_first_argument_ = true; }

  /// Returns the words that are no flags; all words after "--". BadRequest names the flag and the remedy.
  Result<std::vector<std::string>> parse(const std::vector<std::string>& words);

  std::string help() const;

 private:
  struct Flag {
    std::string name;
    std::string help;
    std::string default_text;
    bool boolean = false;
    bool hidden = false;
    std::function<Status(std::string_view)> set;
  };
  void insert(Flag flag);
  Flag* find(std::string_view name);

  std::string usage_;
  std::vector<Flag> flags_;
  bool stop_at_first_argument_ = false;
};

}  // namespace trireme
