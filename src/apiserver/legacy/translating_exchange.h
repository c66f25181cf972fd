#pragma once

#include <memory>

#include "apiserver/legacy/convert.h"
#include "net/http.h"

namespace trireme::apiserver::legacy {

/// An exchange that shows the API server `request` and answers `outer` with what comes back, in the words of the old
/// API: objects, lists, statuses, and watches event by event.
std::shared_ptr<net::Exchange> translating_exchange(std::shared_ptr<net::Exchange> outer, net::Request request,
                                                    const Kind& kind, Version version);

}  // namespace trireme::apiserver::legacy
