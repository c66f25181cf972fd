#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "apiserver/api_server.h"
#include "apiserver/discovery/published.h"
#include "apiserver/http/context.h"
#include "apiserver/http/health.h"
#include "apiserver/http/metrics.h"
#include "apiserver/registry/registry.h"

namespace trireme::apiserver {

/// The pipeline: who is it, may they, what do they want.
class Server : public ApiServer {
 public:
  explicit Server(Options options);
  ~Server() override;
  Status start();

  void handle(std::shared_ptr<net::Exchange> exchange) override;
  void dispatch(std::shared_ptr<net::Exchange> exchange, const authn::UserInfo& user) override;
  net::Response call(net::Request request, const authn::UserInfo& user) override;
  void add_path(std::string path, std::shared_ptr<PathHandler> handler, bool authorize) override;
  void add_check(std::string name, std::function<Status()> check) override { health_.add(std::move(name), check); }
  void add_metrics(std::function<void(std::string& out)> collect) override { metrics_->add_collector(collect); }
  Caches& caches() override { return *options_.caches; }
  void begin_shutdown() override { health_.begin_shutdown(); }

 private:
  struct PathEntry {
    std::shared_ptr<PathHandler> handler;
    bool authorize;
  };
  std::shared_ptr<RequestContext> make_context(std::shared_ptr<net::Exchange> exchange);
  Status authenticate(RequestContext& context);
  Status impersonate(RequestContext& context);
  Status authorize(const authz::Attributes& attributes);
  void route(const std::shared_ptr<RequestContext>& context);
  void serve_path(RequestContext& context);
  const PathEntry* find_path(std::string_view path) const;

  Options options_;
  std::shared_ptr<Metrics> metrics_;
  Health health_;
  /// What discovery says as of now. Made anew when definitions of custom resources have changed.
  Result<std::shared_ptr<const Published>> published();

  std::mutex published_mutex_;
  std::shared_ptr<const Published> published_;
  std::unique_ptr<Registry> registry_;
  std::map<std::string, PathEntry, std::less<>> paths_;
};

}  // namespace trireme::apiserver
