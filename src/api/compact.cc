#include "api/compact.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TRIREME_PLAIN_COPIES 1
#endif

#ifdef TRIREME_PLAIN_COPIES

namespace trireme::api {

CompactObject::CompactObject(const Object& object) : object_(object.clone()) {}
CompactObject::~CompactObject() { object_.~Object(); }

}  // namespace trireme::api

#else

namespace trireme::api {
namespace {

constexpr size_t kScratch = 32 << 10;
alignas(std::max_align_t) thread_local std::byte scratch[kScratch];

/// Where `operator new` takes memory from while this thread copies: with a `block`, consecutive parts of it. Without,
/// the copy only tells how much is needed; it goes to the scratch memory, and what does not fit there to the heap.
class Parts {
 public:
  explicit Parts(std::byte* block) : block_(block) {}
  ~Parts() {
    while (Large* large = large_) {
      large_ = large->next;
      std::free(large);
    }
  }

  size_t size() const { return size_; }

  /// Null when there is no memory.
  void* take(size_t bytes) {
    // A type's size is a multiple of its alignment.
    const size_t alignment = bytes == 0 ? 1 : std::min(bytes & (~bytes + 1), alignof(std::max_align_t));
    const size_t start = (size_ + alignment - 1) / alignment * alignment;
    size_ = start + bytes;
    if (block_ != nullptr) return block_ + start;
    if (size_ <= kScratch) return scratch + start;
    void* memory = std::malloc(sizeof(Large) + bytes);
    if (memory == nullptr) return nullptr;
    large_ = new (memory) Large{large_};
    return large_ + 1;
  }

 private:
  struct alignas(std::max_align_t) Large {
    Large* next;
  };
  std::byte* const block_;
  size_t size_ = 0;
  Large* large_ = nullptr;
};

constinit thread_local Parts* current = nullptr;

/// Copies `object` to `where`, with all memory for it taken from `parts`.
void copy_into(Parts& parts, const Object& object, Object* where) {
  struct Guard {  // for a copy that runs out of memory
    ~Guard() { current = nullptr; }
  } guard;
  current = &parts;
  new (where) Object(object.clone());
}

}  // namespace

CompactObject::CompactObject(const Object& object) {
  Parts measured(nullptr);
  copy_into(measured, object, &object_);  // forgotten, not destroyed
  auto* block = static_cast<std::byte*>(std::malloc(measured.size()));
  if (block == nullptr) throw std::bad_alloc();
  Parts parts(block);
  copy_into(parts, object, &object_);
}

// The object itself was the first part, so that it stands where the block begins.
CompactObject::~CompactObject() { std::free(object_.data()); }

}  // namespace trireme::api

void* operator new(size_t bytes) {
  if (trireme::api::current != nullptr) {
    if (void* part = trireme::api::current->take(bytes)) return part;
    throw std::bad_alloc();
  }
  while (true) {
    if (void* memory = std::malloc(std::max<size_t>(bytes, 1))) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

// The pair of the above; what it is given never is a part.
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

#endif
