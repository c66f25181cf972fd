#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace trireme::net {

/// Bytes on their way to a socket, first in, first out: shared pieces by reference, framing between them by copy.
class OutputQueue {
 public:
  /// Copies `text`: heads, frame headers, chunk sizes.
  void append(std::string_view text);
  /// References `length` bytes of `bytes` from `offset`.
  void append(SharedBytes bytes, size_t offset, size_t length);

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  /// Describes the first bytes in up to `max` slices; returns how many. Valid until the queue changes.
  int gather(iovec* slices, int max) const;
  /// Copies up to `capacity` of the first bytes to `buffer`; returns how many.
  size_t copy(char* buffer, size_t capacity) const;
  /// Forgets the first `count` bytes.
  void consume(size_t count);
  void clear();

 private:
  struct Piece {
    std::string own;  // when `shared` is null
    SharedBytes shared;
    size_t offset = 0;
    size_t length = 0;
    const char* data() const { return (shared ? shared->data() : own.data()) + offset; }
  };

  std::vector<Piece> pieces_;
  size_t first_ = 0;  // pieces before it are spent
  size_t size_ = 0;
};

}  // namespace trireme::net
