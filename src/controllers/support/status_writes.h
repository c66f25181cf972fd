#pragma once

#include <memory>
#include <utility>

#include "api/validation/equal.h"
#include "client/client.h"

namespace trireme::controllers {

/// Writes `status` into `object` and to the server, unless the cache's object (`stored`, may be null) has it already.
/// That the object is gone counts as done.
template <typename T, typename S>
Status write_status_unless_equal(client::Client& client, const std::shared_ptr<const T>& stored, T& object, S status) {
  if (stored && api::validation::semantic_equal(stored->status, status)) return {};
  object.status = std::move(status);
  const Status written = client.update_status(object).status();
  return written.is(Reason::kNotFound) ? Status() : written;
}

}  // namespace trireme::controllers
