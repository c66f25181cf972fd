#include "net/output_queue.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace trireme::net {
namespace {
// An own piece grows up to this; beyond it a new one begins, so that growing never copies much.
constexpr size_t kOwnPieceLimit = 4096;
// An emptied queue gives its table back when it has grown past this many pieces.
constexpr size_t kKeptPieces = 8;
}  // namespace

void OutputQueue::append(std::string_view text) {
  if (text.empty()) return;
  size_ += text.size();
  if (first_ < pieces_.size() && !pieces_.back().shared && pieces_.back().own.size() + text.size() <= kOwnPieceLimit) {
    pieces_.back().own.append(text);
    pieces_.back().length += text.size();
    return;
  }
  pieces_.push_back({.own = std::string(text), .shared = nullptr, .offset = 0, .length = text.size()});
}

void OutputQueue::append(SharedBytes bytes, size_t offset, size_t length) {
  if (length == 0) return;
  assert(offset + length <= bytes->size());
  size_ += length;
  pieces_.push_back({.own = {}, .shared = std::move(bytes), .offset = offset, .length = length});
}

int OutputQueue::gather(iovec* slices, int max) const {
  int count = 0;
  for (size_t i = first_; i < pieces_.size() && count < max; ++i, ++count) {
    slices[count] = {const_cast<char*>(pieces_[i].data()), pieces_[i].length};
  }
  return count;
}

size_t OutputQueue::copy(char* buffer, size_t capacity) const {
  size_t done = 0;
  for (size_t i = first_; i < pieces_.size() && done < capacity; ++i) {
    const size_t part = std::min(pieces_[i].length, capacity - done);
    std::memcpy(buffer + done, pieces_[i].data(), part);
    done += part;
  }
  return done;
}

void OutputQueue::consume(size_t count) {
  assert(count <= size_);
  size_ -= count;
  while (count > 0) {
    Piece& piece = pieces_[first_];
    const size_t part = std::min(piece.length, count);
    piece.offset += part;
    piece.length -= part;
    count -= part;
    if (piece.length == 0) {
      piece.shared.reset();
      ++first_;
    }
  }
  if (size_ == 0) {
    clear();
  } else if (first_ > 64 && first_ * 2 > pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
}

void OutputQueue::clear() {
  first_ = 0;
  size_ = 0;
  if (pieces_.capacity() > kKeptPieces) {
    std::vector<Piece>().swap(pieces_);
  } else {
    pieces_.clear();
  }
}

}  // namespace trireme::net
