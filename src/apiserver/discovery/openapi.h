#pragma once

#include <memory>
#include <vector>

#include "api/openapi/openapi.h"
#include "apiserver/extensions/definitions.h"
#include "apiserver/http/context.h"

namespace trireme::apiserver {

/// /openapi/v2 and /openapi/v3: documents made at their first request and kept, those of built-in groups once for the
/// whole process. Thread-safe.
class OpenApi {
 public:
  explicit OpenApi(const extensions::Served& served);
  ~OpenApi();

  /// False when the path is none of its.
  bool serve(RequestContext& context) const;

 private:
  class Documents;
  static Documents& built_in();
  /// Where documents are kept that custom kinds appear in, if there are any.
  Documents& all() const;
  void serve_v2(RequestContext& context) const;

  std::vector<api::CustomSchema> custom_;
  std::unique_ptr<Documents> documents_;
};

}  // namespace trireme::apiserver
