#include "apiserver/registry/reader.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "api/codec.h"
#include "api/names.h"
#include "api/status_convert.h"
#include "api/types/metav1.h"
#include "apiserver/watch/watcher.h"

namespace trireme::apiserver {

namespace {

constexpr std::string_view kExpiredContinue =
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list.";

Status invalid_option(std::string_view field, std::string_view value, std::string_view why) {
  return api::invalid("meta.k8s.io", "ListOptions", "", {api::field_error::invalid(field, value, why)});
}

Status forbidden_option(std::string_view field, std::string_view why) {
  return api::invalid("meta.k8s.io", "ListOptions", "", {api::field_error::forbidden(field, why)});
}

}  // namespace

Result<store::Revision> parse_revision(std::string_view text) {
  if (text.empty()) return store::Revision{0};
  store::Revision revision = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (error != std::errc() || end != text.data() + text.size() || revision < 0) {
    return api::invalid(
        "", "", "",
        {api::field_error::invalid("resourceVersion", text,
                                   fmt::format("strconv.ParseUint: parsing {}: invalid syntax", api::go_quote(text)))});
  }
  return revision;
}

struct Reader::ListRequest {
  std::string ns;
  const Query* query = nullptr;
  extensions::CustomVersionPointer custom;
  std::optional<store::Revision> revision;  ///< As given.
  std::string match;
  int64_t limit = 0;
  std::optional<ContinueToken> token;

  static Result<ListRequest> parse(const RequestContext& context) {
    const Query& query = context.query;
    ListRequest request;
    request.ns = context.info.ns;
    request.query = &query;
    request.custom = context.custom;
    request.match = query.get("resourceVersionMatch");
    TRY_ASSIGN(std::optional<int64_t> limit, query.number("limit"));
    request.limit = limit.value_or(0);
    const std::string& version = query.get("resourceVersion");
    if (!version.empty()) {
      TRY_ASSIGN(request.revision, parse_revision(version));
    }
    const std::string& token = query.get("continue");
    if (!request.match.empty()) {
      if (request.match != api::metav1::kResourceVersionMatchExact &&
          request.match != api::metav1::kResourceVersionMatchNotOlderThan) {
        return api::invalid(
            "meta.k8s.io", "ListOptions", "",
            {api::field_error::not_supported("resourceVersionMatch", request.match, {"Exact", "NotOlderThan", ""})});
      }
      if (version.empty()) {
        return forbidden_option("resourceVersionMatch",
                                "resourceVersionMatch is forbidden unless resourceVersion is provided");
      }
      if (!token.empty()) {
        return forbidden_option("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
      }
      if (request.match == api::metav1::kResourceVersionMatchExact && *request.revision == 0) {
        return forbidden_option("resourceVersionMatch",
                                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
      }
    }
    if (!token.empty()) {
      if (request.revision && *request.revision != 0) {
        return Status::bad_request("specifying resource version is not allowed when using continue");
      }
      TRY_ASSIGN(request.token, ContinueToken::decode(token));
    }
    if (request.limit < 0) return invalid_option("limit", std::to_string(request.limit), "must be positive");
    return request;
  }
};

Reader::Reader(std::shared_ptr<Caches> caches, std::shared_ptr<Clock> clock, std::shared_ptr<Metrics> metrics,
               api::RandomSource random)
    : caches_(std::move(caches)), clock_(std::move(clock)), metrics_(std::move(metrics)), random_(std::move(random)) {}

void Reader::get(RequestContext& context, const api::ResourceInfo& resource) {
  auto found = [&]() -> Result<CachedPointer> {
    TRY_ASSIGN(auto cache, caches_->of(resource));
    const std::string& version = context.query.get("resourceVersion");
    TRY_ASSIGN(store::Revision revision, parse_revision(version));
    Result<ResourceCache::Snapshot> snapshot = version.empty() ? cache->current()
                                               : revision == 0 ? Result(cache->latest())
                                                               : cache->not_older_than(revision);
    if (!snapshot.ok()) return snapshot.status();
    std::string key = cache->prefix();
    if (resource.namespaced) key.append(context.info.ns) += '/';
    CachedPointer object = snapshot->tree.find(key.append(context.info.name));
    if (!object) return api::not_found(resource, context.info.name);
    return object;
  }();
  if (!found.ok()) return context.fail(found.status());
  respond_cached(context, 200, resource, *found, *clock_);
}

Result<ResourceCache::Snapshot> Reader::read_store(const api::ResourceInfo& resource, const Selection& selection,
                                                   store::Revision revision) {
  TRY_ASSIGN(store::RangeResult range,
             caches_->options().store->range(selection.start(), selection.end(), {.revision = revision}));
  ResourceCache::Snapshot snapshot;
  snapshot.revision = revision;
  for (store::KeyValue& entry : range.entries) {
    TRY_ASSIGN(api::Object object, decode_stored(resource, *entry.value));
    object.metadata().resource_version = std::to_string(entry.mod_revision);
    snapshot.tree = snapshot.tree.with(
        std::make_shared<const CachedObject>(std::move(entry.key), entry.mod_revision, std::move(object)));
  }
  return snapshot;
}

Result<ResourceCache::Snapshot> Reader::snapshot_for(const api::ResourceInfo& resource, ResourceCache& cache,
                                                     const ListRequest& request, const Selection& selection) {
  std::optional<store::Revision> exact;
  if (request.token && request.token->revision > 0) exact = request.token->revision;
  if (!request.token && request.revision && *request.revision != 0) {
    // An old version with a limit and no match means exactly that version, for compatibility with old clients.
    bool exactly =
        request.match == api::metav1::kResourceVersionMatchExact || (request.match.empty() && request.limit > 0);
    if (exactly) exact = *request.revision;
  }
  if (exact) {
    TRY(cache.not_older_than(*exact).status());
    if (auto known = cache.at(*exact)) return *known;
    return read_store(resource, selection, *exact);
  }
  if (!request.revision || request.token) return cache.current();
  if (*request.revision == 0) return cache.latest();
  return cache.not_older_than(*request.revision);
}

Result<ListPage> Reader::page(const api::ResourceInfo& resource, const ListRequest& request,
                              std::string& expired_continue) {
  TRY_ASSIGN(auto cache, caches_->of(resource));
  TRY_ASSIGN(Selection selection,
             Selection::parse(resource, request.ns, *request.query, cache->prefix(), request.custom));
  auto snapshot = snapshot_for(resource, *cache, request, selection);
  if (!snapshot.ok()) {
    if (request.token && snapshot.status().is(Reason::kExpired)) {
      expired_continue = ContinueToken{-1, request.token->start}.encode();
      return api::expired(kExpiredContinue);
    }
    return snapshot.status();
  }
  const ObjectTree& tree = snapshot->tree;

  std::string start = selection.start();
  std::string end = selection.end();
  if (request.token) start = std::max(start, cache->prefix() + request.token->start);
  ListPage page;
  page.resource_version = std::to_string(snapshot->revision);
  if (selection.selects_all()) {
    size_t count = tree.count(start, end);
    page.items.reserve(request.limit > 0 ? std::min(count, static_cast<size_t>(request.limit)) : count);
  }
  ObjectTree::Cursor cursor(tree, start, end);
  while (const CachedPointer* object = cursor.next()) {
    if (!selection.matches((*object)->object())) continue;
    if (selection.scope().node && node_of((*object)->object()) != *selection.scope().node) continue;
    page.items.push_back(*object);
    if (request.limit <= 0 || page.items.size() < static_cast<size_t>(request.limit)) continue;
    std::string next = (*object)->key() + '\0';
    size_t remaining = tree.count(next, end);
    if (remaining > 0) {
      page.continue_token = ContinueToken{snapshot->revision, next.substr(cache->prefix().size())}.encode();
      // With selectors the rest would have to be looked at to be counted.
      if (selection.selects_all()) page.remaining = static_cast<int64_t>(remaining);
    }
    break;
  }
  return page;
}

void Reader::list(RequestContext& context, const api::ResourceInfo& resource) {
  std::string expired_continue;
  auto page = [&]() -> Result<ListPage> {
    TRY_ASSIGN(ListRequest request, ListRequest::parse(context));
    return this->page(resource, request, expired_continue);
  }();
  if (page.ok()) return respond_list(context, resource, *page, *clock_);
  if (expired_continue.empty()) return context.fail(page.status());
  api::metav1::Status status = api::to_metav1(page.status());
  status.metadata.continue_ = expired_continue;
  context.respond_kind(page.status().code(), status);
}

Result<std::vector<CachedPointer>> Reader::select(const api::ResourceInfo& resource, const Selection& selection) {
  TRY_ASSIGN(auto cache, caches_->of(resource));
  TRY_ASSIGN(auto snapshot, cache->current());
  std::vector<CachedPointer> selected;
  ObjectTree::Cursor cursor(snapshot.tree, selection.start(), selection.end());
  while (const CachedPointer* object = cursor.next()) {
    if (selection.matches((*object)->object())) selected.push_back(*object);
  }
  return selected;
}

void Reader::watch(const std::shared_ptr<RequestContext>& context, const api::ResourceInfo& resource) {
  const Query& query = context->query;
  WatcherOptions options;
  std::shared_ptr<ResourceCache> cache;
  int64_t timeout_seconds = 0;
  Status prepared = [&]() -> Status {
    TRY_ASSIGN(cache, caches_->of(resource));
    TRY_ASSIGN(Selection selection,
               Selection::parse(resource, context->info.ns, query, cache->prefix(), context->custom));
    TRY_ASSIGN(options.format, watch_format(*context, resource, *clock_));
    TRY_ASSIGN(std::optional<int64_t> timeout, query.number("timeoutSeconds"));
    // Spread over half an hour, so that clients do not come back all at once.
    timeout_seconds = timeout.value_or(0) > 0 ? *timeout : 1800 + random_() % 1800;
    options.bookmarks = query.flag("allowWatchBookmarks");
    options.exchange = context->exchange();
    options.scope = selection.scope();
    bool one_object = !context->info.name.empty() && (!resource.namespaced || !context->info.ns.empty());
    if (one_object && options.scope.key.empty()) {
      // /watch/…/name, and a name in the field selector, mean the same.
      options.scope.key = options.scope.key_prefix + context->info.name;
    }
    if (!selection.selects_all()) {
      options.selects = [selection = std::move(selection)](const api::Object& object) {
        return selection.matches(object);
      };
    }

    const std::string& version = query.get("resourceVersion");
    TRY_ASSIGN(store::Revision revision, parse_revision(version));
    bool send_initial = query.flag("sendInitialEvents");
    const std::string& match = query.get("resourceVersionMatch");
    if (query.has("sendInitialEvents")) {
      if (match != api::metav1::kResourceVersionMatchNotOlderThan) {
        return forbidden_option("resourceVersionMatch",
                                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
      }
    } else if (!match.empty()) {
      return forbidden_option("resourceVersionMatch",
                              "resourceVersionMatch is forbidden for watch unless "
                              "sendInitialEvents is provided");
    }
    bool initial = query.has("sendInitialEvents") ? send_initial : revision == 0;
    if (initial) {
      Result<ResourceCache::Snapshot> snapshot = version.empty() ? cache->current()
                                                 : revision == 0 ? Result(cache->latest())
                                                                 : cache->not_older_than(revision);
      TRY(snapshot.status());
      options.initial = snapshot->tree;
      options.after = snapshot->revision;
      options.bookmark_after_initial = send_initial && options.bookmarks;
    } else if (revision == 0) {
      TRY_ASSIGN(auto snapshot, cache->current());
      options.after = snapshot.revision;
    } else {
      options.after = revision;
    }
    return {};
  }();
  if (!prepared.ok()) return context->fail(prepared);

  options.on_end = [metrics = metrics_] { metrics->watch_ended(); };
  auto watcher = std::make_shared<Watcher>(std::move(options));
  context->start_stream(200,
                        context->accepted.local ? net::kLocalMediaType : content_type(context->accepted.media, true));
  metrics_->watch_started();
  if (Status status = watcher->start(cache); !status.ok()) return watcher->close(status);
  watcher->expire_after(*clock_, std::chrono::seconds(timeout_seconds));
}

}  // namespace trireme::apiserver
