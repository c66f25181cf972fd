#include "apiserver/registry/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/defaults/defaults.h"
#include "api/status_convert.h"
#include "api/types/apiextensionsv1.h"
#include "apiserver/http/body.h"
#include "apiserver/registry/subresources.h"
#include "base/log.h"

namespace trireme::apiserver {

Status no_such_resource() { return {Reason::kNotFound, "the server could not find the requested resource"}; }

Status method_not_allowed() {
  return {Reason::kMethodNotAllowed, "the server does not allow this method on the requested resource"};
}

namespace {

/// Kinds whose deletion answers with the object, others with a Status.
bool returns_deleted_object(const api::ResourceInfo& resource) {
  constexpr std::array<std::string_view, 7> kKinds = {
      "pods",           "services", "podtemplates", "resourcequotas", "persistentvolumeclaims", "persistentvolumes",
      "serviceaccounts"};
  return resource.group.empty() && std::find(kKinds.begin(), kKinds.end(), resource.resource) != kKinds.end();
}

/// What stands in the way of a request for a custom resource.
Status check_custom(RequestContext& context) {
  const extensions::CustomVersion& version = *context.custom;
  if (!version.warning.empty()) context.warnings.push_back(version.warning);
  if (context.info.verb == "create" && version.definition->terminating) {
    return {Reason::kMethodNotAllowed, "create not allowed while custom resource definition is terminating"};
  }
  if (version.definition->needs_webhook && &version != version.definition->storage) {
    return Status::internal(
        fmt::format("objects of {} are stored as {}: their conversion by a webhook is not supported by this server yet",
                    version.definition->definition->metadata.name, version.definition->storage->resource->version));
  }
  return {};
}

}  // namespace

Registry::Registry(const Options& options, std::shared_ptr<Metrics> metrics)
    : options_(options),
      clock_(options.clock),
      definitions_(std::make_shared<extensions::Definitions>(options.caches)),
      lifecycle_(std::make_shared<extensions::Lifecycle>(options.caches, definitions_, options.clock)),
      storage_(std::make_shared<Storage>(options.caches, options.clock, options.event_ttl)),
      reader_(options.caches, options.clock, std::move(metrics), options.random),
      usage_(options.caches, options.clock, options.kubelet_transport) {
  auto services = ServiceAllocator::create(options.caches, options.service_cidr, options.first_node_port,
                                           options.last_node_port, options.random);
  if (services.ok()) {
    services_ = *services;
  } else {
    services_status_ = services.status();
  }
  writer_ = std::make_unique<Writer>(storage_, clock_, options.admission, services_, lifecycle_, options.random);
  writer_->on_custom_removed([this](const api::ResourceInfo& resource) {
    if (lifecycle_->concerns_removal(resource)) clean_up_definition(resource.resource + "." + resource.group);
  });
}

Registry::~Registry() { stop(); }

void Registry::stop() { streams_.stop(); }

void Registry::serve(const Context& context) {
  const RequestInfo& info = context->info;
  const api::ResourceInfo* resource = api::find_resource(info.group, info.version, info.resource);
  if (resource == nullptr) {
    auto found = definitions_->find(info.group, info.version, info.resource);
    if (!found.ok()) return context->fail(found.status());
    context->custom = std::move(*found);
    if (context->custom) resource = context->custom->resource;
  }
  std::string_view accept = context->request().headers.get("Accept");
  bool watching = info.verb == "watch";
  Offer offer{.views = true, .yaml = !watching, .local = context->exchange()->local()};
  auto accepted = negotiate(accept, offer);
  if (accepted.ok() && context->custom && accepted->media == Media::kProto && accepted->view == View::kObject) {
    // Custom objects have no protobuf form; their metadata and tables do.
    offer.proto = false;
    accepted = negotiate(accept, offer);
  }
  if (accepted.ok()) {
    accepted->pretty = context->accepted.pretty;
    context->accepted = *accepted;
  }
  if (resource == nullptr) return context->fail(no_such_resource());
  // Cluster resources have no namespaced URL; namespaced ones without it are only listed and watched.
  bool collection = info.parts.size() == 1;
  if (!resource->namespaced && !info.ns.empty() && info.resource != "namespaces") {
    return context->fail(no_such_resource());
  }
  bool reading_all = collection && (info.verb == "list" || info.verb == "watch");
  if (resource->namespaced && info.ns.empty() && !reading_all) {
    bool known = collection && resource->list_type != nullptr;
    return context->fail(known ? method_not_allowed() : no_such_resource());
  }
  if (!accepted.ok() && info.subresource != "log") return context->fail(accepted.status());
  if (context->custom) {
    if (Status refused = check_custom(*context); !refused.ok()) return context->fail(refused);
  }
  if (!info.subresource.empty() && !watching) return serve_subresource(context, *resource);
  if (resource->list_type == nullptr) {
    if (info.verb != "create" || !collection) return context->fail(method_not_allowed());
    return review(context, *resource);
  }
  bool offered = std::find(resource->verbs.begin(), resource->verbs.end(), info.verb) != resource->verbs.end();
  if (info.verb == "create" && !collection) offered = false;
  if ((info.verb == "update" || info.verb == "patch") && collection) offered = false;
  if (!offered) return context->fail(method_not_allowed());

  if (MetricsApi::serves(*resource)) return usage(context, *resource);
  if (info.verb == "get") return reader_.get(*context, *resource);
  if (info.verb == "list") return reader_.list(*context, *resource);
  if (watching) return reader_.watch(context, *resource);
  if (info.verb == "create") return create(context, *resource);
  if (info.verb == "update") return update(context, *resource);
  if (info.verb == "patch") return patch(context, *resource);
  if (info.verb == "delete") return remove(context, *resource);
  if (info.verb == "deletecollection") return remove_collection(context, *resource);
  context->fail(method_not_allowed());
}

void Registry::usage(const Context& context, const api::ResourceInfo& resource) {
  if (!usage_.may_wait()) return usage_.serve(*context, resource, {});
  // It waits for kubelets: not on one of the server's workers.
  Status started =
      streams_.start([this, context, &resource](std::stop_token stop) { usage_.serve(*context, resource, stop); });
  if (!started.ok()) context->fail(started);
}

Result<WriteRequest> Registry::write_request(const Context& context, const api::ResourceInfo& resource) {
  if (!services_status_.ok()) return services_status_;
  TRY_ASSIGN(bool dry, dry_run(context->query.all("dryRun")));
  return WriteRequest{.resource = resource,
                      .ns = resource.namespaced ? context->info.ns : std::string(),
                      .name = context->info.name,
                      .subresource = context->info.subresource,
                      .user = context->user,
                      .dry_run = dry,
                      .warnings = &context->warnings,
                      .custom = context->custom};
}

void Registry::create(const Context& context, const api::ResourceInfo& resource) {
  auto created = [&]() -> Result<CachedPointer> {
    TRY_ASSIGN(WriteRequest request, write_request(context, resource));
    TRY_ASSIGN(api::Object object, decode_body(*context, context->exchange()->take_body(), *resource.type));
    api::apply_defaults(object);
    return writer_->create(request, std::move(object));
  }();
  if (!created.ok()) return context->fail(created.status());
  respond_cached(*context, 201, resource, *created, *clock_);
}

void Registry::respond_written(const Context& context, const api::ResourceInfo& resource,
                               const Result<Writer::Updated>& updated) {
  if (!updated.ok()) return context->fail(updated.status());
  respond_cached(*context, updated->created ? 201 : 200, resource, updated->object, *clock_);
}

void Registry::update(const Context& context, const api::ResourceInfo& resource) {
  respond_written(context, resource, [&]() -> Result<Writer::Updated> {
    TRY_ASSIGN(WriteRequest request, write_request(context, resource));
    TRY_ASSIGN(api::Object object, decode_body(*context, context->exchange()->take_body(), *resource.type));
    std::string& name = object.metadata().name;
    if (name.empty()) {
      // Only main resources insist on a name in the body.
      if (context->info.subresource.empty()) {
        return Status::bad_request("name must be provided");
      }
      name = request.name;
    } else if (name != request.name) {
      return Status::bad_request("the name of the object (" + name + ") does not match the name on the URL (" +
                                 request.name + ")");
    }
    api::apply_defaults(object);
    return writer_->update(request, [&](const CachedObject*) -> Result<api::Object> { return object.clone(); });
  }());
}

void Registry::remove(const Context& context, const api::ResourceInfo& resource) {
  auto run = [&]() -> Result<std::pair<Writer::Deleted, bool>> {
    TRY_ASSIGN(WriteRequest request, write_request(context, resource));
    TRY_ASSIGN(auto options, delete_options(*context, context->exchange()->take_body()));
    TRY_ASSIGN(request.dry_run, dry_run(options.dry_run));
    TRY_ASSIGN(Writer::Deleted deleted, writer_->remove(request, options));
    bool later = !deleted.gone && options.orphan_dependents && !*options.orphan_dependents;
    return std::pair(std::move(deleted), later);
  };
  auto result = run();
  if (!result.ok()) return context->fail(result.status());
  auto& [deleted, later] = *result;
  if (!deleted.gone && deleted.object->object().as<api::apiextensionsv1::CustomResourceDefinition>() != nullptr) {
    clean_up_definition(context->info.name);
  }
  int code = later ? 202 : 200;
  if (!deleted.gone || returns_deleted_object(resource)) {
    return respond_cached(*context, code, resource, deleted.object, *clock_);
  }
  api::metav1::Status status;
  status.status = api::metav1::kStatusSuccess;
  status.details.emplace();
  status.details->name = context->info.name;
  status.details->group = resource.group;
  status.details->kind = resource.resource;
  status.details->uid = deleted.object->metadata().uid;
  context->respond_kind(code, status);
}

void Registry::clean_up_definition(const std::string& name) {
  {
    const std::scoped_lock lock(cleaning_mutex_);
    const auto [at, first] = cleaning_.try_emplace(name, false);
    if (!first) {
      at->second = true;
      return;
    }
  }
  Status started = streams_.start([this, name](std::stop_token stop) {
    for (bool again = true; again && !stop.stop_requested();) {
      if (Status status = lifecycle_->clean_up(*writer_, name); !status.ok()) {
        log::warning("A definition's objects could not be deleted", {{"definition", name}, {"error", status}});
      }
      const std::scoped_lock lock(cleaning_mutex_);
      again = std::exchange(cleaning_[name], false);
      if (!again) cleaning_.erase(name);
    }
  });
  if (!started.ok()) {
    log::warning("A definition's objects are not deleted for now", {{"definition", name}, {"error", started}});
    const std::scoped_lock lock(cleaning_mutex_);
    cleaning_.erase(name);
  }
}

void Registry::remove_collection(const Context& context, const api::ResourceInfo& resource) {
  auto run = [&]() -> Result<ListPage> {
    TRY_ASSIGN(WriteRequest request, write_request(context, resource));
    TRY_ASSIGN(auto options, delete_options(*context, context->exchange()->take_body()));
    TRY_ASSIGN(request.dry_run, dry_run(options.dry_run));
    TRY_ASSIGN(auto cache, options_.caches->of(resource));
    TRY_ASSIGN(Selection selection,
               Selection::parse(resource, request.ns, context->query, cache->prefix(), context->custom));
    TRY_ASSIGN(auto selected, reader_.select(resource, selection));
    ListPage page;
    for (const CachedPointer& object : selected) {
      request.ns = object->metadata().namespace_;
      request.name = object->metadata().name;
      auto deleted = writer_->remove(request, options);
      // Somebody else was quicker: that is what was wanted.
      if (!deleted.ok() && deleted.status().is(Reason::kNotFound)) continue;
      TRY(deleted.status());
      page.items.push_back(deleted->object);
      if (!deleted->gone && object->object().as<api::apiextensionsv1::CustomResourceDefinition>() != nullptr) {
        clean_up_definition(request.name);
      }
    }
    page.resource_version = std::to_string(cache->latest().revision);
    return page;
  };
  auto page = run();
  if (!page.ok()) return context->fail(page.status());
  respond_list(*context, resource, *page, *clock_);
}

}  // namespace trireme::apiserver
