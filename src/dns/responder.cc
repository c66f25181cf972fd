#include "dns/responder.h"

namespace trireme::dns {

SharedRecords::SharedRecords() {
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&lock_, &attributes);
  pthread_rwlockattr_destroy(&attributes);
}

size_t Responder::respond(const Records& records, Bytes packet, bool tcp, bool v6, uint32_t rotation,
                          std::span<uint8_t> out, Metrics& metrics, const std::function<Reply()>& make_reply) {
  Query query;
  Answer answer;
  dns::answer(records, zones_, packet, tcp, rotation, out, query, answer);
  if (answer.outcome == Outcome::kIgnore) return 0;
  metrics.count_query(tcp, v6, query.type);
  if (answer.outcome != Outcome::kForward && !ready_.load(std::memory_order_acquire)) {
    if (synced_()) {
      ready_.store(true, std::memory_order_release);
    } else if (query.question_end != 0 && query.klass == kClassIn) {
      metrics.count_response(rcode::kServFail);
      return error_response(query, packet, rcode::kServFail, out);
    }
  }
  if (answer.outcome == Outcome::kDone) {
    metrics.count_response(answer.rcode);
    return answer.size;
  }
  if (answer.outcome == Outcome::kForward) {
    if (const size_t size = forwarder_.from_cache(query, packet, tcp, out, metrics); size > 0) return size;
  }
  ForwardRequest request;
  request.packet.assign(packet.begin(), packet.end());
  request.query = query;
  request.tcp = tcp;
  if (answer.outcome == Outcome::kChase) {
    request.ask = answer.chase;
    request.partial.assign(out.begin(), out.begin() + static_cast<ptrdiff_t>(answer.size));
    if (const size_t size = forwarder_.from_cache(request, out, metrics); size > 0) return size;
  } else {
    request.ask = query.name;
  }
  request.reply = make_reply();
  if (forwarder_.submit(std::move(request))) return 0;
  metrics.count_reject();
  metrics.count_response(rcode::kRefused);
  return error_response(query, packet, rcode::kRefused, out);
}

}  // namespace trireme::dns
