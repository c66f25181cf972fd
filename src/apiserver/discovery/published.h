#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apiserver/discovery/discovery.h"
#include "apiserver/discovery/openapi.h"
#include "apiserver/extensions/definitions.h"

namespace trireme::apiserver {

/// What the server says of itself while the definitions of custom resources stay as they are. Thread-safe.
class Published {
 public:
  Published(std::string server_address, std::shared_ptr<const extensions::Served> served);

  const std::shared_ptr<const extensions::Served>& served() const { return served_; }
  const Discovery& discovery() const { return discovery_; }
  const OpenApi& openapi() const { return openapi_; }

 private:
  std::shared_ptr<const extensions::Served> served_;
  Discovery discovery_;
  OpenApi openapi_;
};

}  // namespace trireme::apiserver
