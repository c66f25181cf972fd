#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"

namespace trireme::controllers {

/// A set of completion indexes, kept as status.completedIndexes writes it: "0,2-5,7".
/// https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode
class IndexSet {
 public:
  struct Interval {
    int32_t first;
    int32_t last;  ///< Included.
    bool operator==(const Interval&) const = default;
  };

  IndexSet() = default;
  /// Any order, repetitions allowed.
  static IndexSet of(std::vector<int32_t> indexes);
  /// Indexes from `limit` on are left out (a job may have shrunk), as are parts that cannot be read.
  static IndexSet parse(std::string_view text, int32_t limit);
  std::string to_string() const;

  void add(const IndexSet& other);
  bool contains(int32_t index) const;
  bool empty() const { return intervals_.empty(); }
  int32_t size() const;
  /// How many indexes are in both.
  int32_t common(const IndexSet& other) const;
  /// The first `count` indexes below `limit` that are not in the set, ascending.
  std::vector<int32_t> missing(size_t count, int32_t limit) const;

  std::span<const Interval> intervals() const { return intervals_; }
  bool operator==(const IndexSet&) const = default;

 private:
  std::vector<Interval> intervals_;  ///< Ascending, with gaps between them.
};

inline constexpr int32_t kNoIndex = -1;
/// The completion index that the pod's annotation tells; kNoIndex when it tells none.
int32_t completion_index(const api::corev1::Pod& pod);

}  // namespace trireme::controllers
