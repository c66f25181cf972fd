#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "base/clock.h"
#include "client/informer_factory.h"

namespace trireme::simulator {

/// Prints a line to `out` for every change of a pod or workload whose "NAMESPACE/NAME" begins with
/// `prefix`, with the virtual time: what to read when an invariant does not hold. Call before the informers start.
void follow(client::InformerFactory& informers, std::shared_ptr<Clock> clock, std::string prefix, std::FILE* out);

}  // namespace trireme::simulator
