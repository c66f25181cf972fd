#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "dns/answer.h"
#include "dns/forwarder.h"
#include "dns/metrics.h"

namespace trireme::dns {

/// The index under a lock that lets writers in before the next reader, so that a flood of queries cannot keep changes
/// out.
class SharedRecords {
 public:
  SharedRecords();
  ~SharedRecords() { pthread_rwlock_destroy(&lock_); }
  SharedRecords(const SharedRecords&) = delete;
  SharedRecords& operator=(const SharedRecords&) = delete;

  class Reading {
   public:
    explicit Reading(SharedRecords& shared) : shared_(shared) { pthread_rwlock_rdlock(&shared.lock_); }
    ~Reading() { pthread_rwlock_unlock(&shared_.lock_); }
    const Records& operator*() const { return shared_.records_; }

   private:
    SharedRecords& shared_;
  };
  template <typename Change>
  void change(Change&& change) {
    pthread_rwlock_wrlock(&lock_);
    change(records_);
    pthread_rwlock_unlock(&lock_);
  }

 private:
  pthread_rwlock_t lock_;
  Records records_;
};

/// What every listener shares: from a packet to its response.
class Responder {
 public:
  /// `synced`: whether the index is complete. Until then the cluster's names are answered SERVFAIL.
  Responder(SharedRecords& records, const Zones& zones, Forwarder& forwarder, std::function<bool()> synced)
      : records_(records), zones_(zones), forwarder_(forwarder), synced_(std::move(synced)) {}

  using Reply = std::function<void(Bytes response)>;
  /// Returns the size of the response in `out`; 0 when there is none, or none yet: then `reply` (made only then) is
  /// called later on the loop's thread. `rotation` is counted up by the caller.
  size_t respond(const Records& records, Bytes packet, bool tcp, bool v6, uint32_t rotation, std::span<uint8_t> out,
                 Metrics& metrics, const std::function<Reply()>& make_reply);

  SharedRecords& records() { return records_; }

 private:
  SharedRecords& records_;
  const Zones& zones_;
  Forwarder& forwarder_;
  const std::function<bool()> synced_;
  std::atomic<bool> ready_ = false;
};

}  // namespace trireme::dns
