#pragma once

#include <memory>

#include "apiserver/api_server.h"

namespace trireme::apiserver::legacy {

/// Serves /api/v1beta1 and /api/v1beta2 by translating each request to v1 and its answer back. Authorization,
/// admission and validation are those of v1. Writes are answered when they are done: /operations is always empty.
///
/// To be registered for both prefixes with `authorize` false. `server` must outlive it.
std::shared_ptr<PathHandler> make_handler(ApiServer& server);

}  // namespace trireme::apiserver::legacy
