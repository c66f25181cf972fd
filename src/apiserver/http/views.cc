#include "apiserver/http/views.h"

#include "api/codec.h"
#include "api/custom_resource.h"
#include "api/status_convert.h"
#include "api/yaml.h"
#include "apiserver/printers/custom.h"
#include "apiserver/printers/printers.h"
#include "apiserver/watch/encoding.h"

namespace trireme::apiserver {

namespace {

using api::metav1::PartialObjectMetadata;
using api::metav1::Table;

Encoding encoding_of(Media media) { return media == Media::kProto ? Encoding::kProto : Encoding::kJson; }

std::string join(const std::vector<SharedBytes>& pieces) {
  std::string whole;
  for (const SharedBytes& piece : pieces) whole += *piece;
  return whole;
}

/// Sends JSON or protobuf pieces, or their YAML or indented form, which needs them joined.
void respond_pieces(RequestContext& context, int code, std::vector<SharedBytes> pieces) {
  Media media = context.accepted.media;
  if (media == Media::kYaml) {
    auto yaml = api::json_to_yaml(join(pieces));
    if (!yaml.ok()) return context.fail(yaml.status());
    return context.respond(code, content_type(media), std::move(*yaml));
  }
  if (media == Media::kJson && context.accepted.pretty) {
    return context.respond(code, content_type(media), indent_json(join(pieces)) + '\n');
  }
  context.respond(code, content_type(media), std::move(pieces));
}

Result<api::metav1::TableRow> row_of(const CachedObject& cached, const api::ResourceInfo& resource, RowObject include,
                                     const Clock& clock, const extensions::CustomVersion* custom) {
  api::Object converted;
  TRY_ASSIGN(const api::Object* object, cached.as_version(*resource.type, converted));
  api::metav1::TableRow row =
      custom != nullptr ? printers::row(*custom, *object, clock.now()) : printers::row(*object, clock.now());
  if (include == RowObject::kMetadata) row.object.text = api::encode_json(partial_of(cached));
  if (include == RowObject::kObject) {
    TRY_ASSIGN(SharedBytes body, cached.body(*resource.type, Encoding::kJson));
    row.object.text = *json_head(*resource.type) + *body;
  }
  return row;
}

std::vector<api::metav1::TableColumnDefinition> columns_of(const api::ResourceInfo& resource,
                                                           const extensions::CustomVersion* custom) {
  return custom != nullptr ? printers::columns(*custom) : printers::columns(*resource.type);
}

Status fill_table(Table& table, const std::vector<CachedPointer>& items, const api::ResourceInfo& resource,
                  RowObject include, const Clock& clock, const extensions::CustomVersion* custom) {
  table.column_definitions = columns_of(resource, custom);
  table.rows.reserve(items.size());
  for (const CachedPointer& item : items) {
    TRY_ASSIGN(auto row, row_of(*item, resource, include, clock, custom));
    table.rows.push_back(std::move(row));
  }
  return {};
}

/// The JSON or protobuf message of each item of a list.
Result<SharedBytes> item_body(const CachedObject& item, const api::ResourceInfo& resource, View view,
                              Encoding encoding) {
  if (view == View::kObject && api::is_custom(*resource.type) && encoding == Encoding::kJson) {
    // The items of a list of custom objects keep kind and apiVersion: clients without their types rely on it.
    TRY_ASSIGN(SharedBytes body, item.body(*resource.type, encoding));
    return share(json_head(*resource.type)->substr(1) + *body);
  }
  if (view == View::kObject) return item.body(*resource.type, encoding);
  PartialObjectMetadata partial = partial_of(item);
  const api::TypeInfo& type = api::type_info<PartialObjectMetadata>();
  if (encoding == Encoding::kJson) {
    // Unlike the items of typed lists, these keep kind and apiVersion.
    std::string json;
    api::append_json(type, &partial, json);
    return share(json.substr(1));
  }
  std::string raw;
  api::append_proto(type, &partial, raw);
  return share(std::move(raw));
}

Result<std::vector<SharedBytes>> json_list(const api::TypeInfo& list_type, const api::metav1::ListMeta& metadata,
                                           const api::ResourceInfo& resource, View view,
                                           const std::vector<CachedPointer>& items) {
  static const SharedBytes first = share("{");
  static const SharedBytes next = share(",{");
  static const SharedBytes end = share("]}\n");
  std::string head = *json_head(list_type);
  head += "\"metadata\":";
  head += api::encode_json(metadata);
  head += ",\"items\":[";
  std::vector<SharedBytes> pieces;
  pieces.reserve(items.size() * 2 + 2);
  pieces.push_back(share(std::move(head)));
  for (const CachedPointer& item : items) {
    TRY_ASSIGN(SharedBytes body, item_body(*item, resource, view, Encoding::kJson));
    pieces.push_back(pieces.size() == 1 ? first : next);
    pieces.push_back(std::move(body));
  }
  pieces.push_back(end);
  return pieces;
}

Result<std::vector<SharedBytes>> proto_list(const api::TypeInfo& list_type, const api::metav1::ListMeta& metadata,
                                            const api::ResourceInfo& resource, View view,
                                            const std::vector<CachedPointer>& items) {
  std::string meta;
  api::append_proto(api::type_info<api::metav1::ListMeta>(), &metadata, meta);
  std::string start(1, '\x0a');
  append_varint(start, meta.size());
  start += meta;
  std::vector<SharedBytes> pieces;
  pieces.reserve(items.size() * 2 + 3);
  pieces.emplace_back();  // the envelope's head, once the size is known
  size_t size = start.size();
  pieces.push_back(share(std::move(start)));
  for (const CachedPointer& item : items) {
    TRY_ASSIGN(SharedBytes body, item_body(*item, resource, view, Encoding::kProto));
    std::string tag(1, '\x12');
    append_varint(tag, body->size());
    size += tag.size() + body->size();
    pieces.push_back(share(std::move(tag)));
    pieces.push_back(std::move(body));
  }
  pieces.front() = share(proto_head(list_type, size));
  pieces.push_back(proto_tail());
  return pieces;
}

/// The object in version `type`, shared where that is the stored one. `label` is static text.
Result<net::LocalPart> local_part(std::string_view label, const CachedPointer& object, const api::TypeInfo& type) {
  api::Object converted;
  TRY_ASSIGN(const api::Object* shown, object->as_version(type, converted));
  if (shown == &object->object()) {
    return net::LocalPart{label, &type, std::shared_ptr<const void>(object, shown->data())};
  }
  auto owned = std::make_shared<const api::Object>(std::move(converted));
  return net::LocalPart{label, &type, std::shared_ptr<const void>(owned, owned->data())};
}

}  // namespace

PartialObjectMetadata partial_of(const CachedObject& object) {
  PartialObjectMetadata partial;
  partial.metadata = object.metadata();
  return partial;
}

Result<RowObject> row_object(const Query& query) {
  const std::string& text = query.get("includeObject");
  if (text.empty() || text == "Metadata") return RowObject::kMetadata;
  if (text == "None") return RowObject::kNone;
  if (text == "Object") return RowObject::kObject;
  return Status::bad_request("Invalid value: \"" + text + "\": must be 'Metadata', 'Object', 'None', or empty");
}

void respond_cached(RequestContext& context, int code, const api::ResourceInfo& resource, const CachedPointer& object,
                    const Clock& clock) {
  switch (context.accepted.view) {
    case View::kObject: {
      Encoding encoding = encoding_of(context.accepted.media);
      auto body = object->body(*resource.type, encoding);
      if (!body.ok()) return context.fail(body.status());
      return respond_pieces(context, code, object_pieces(*resource.type, encoding, std::move(*body)));
    }
    case View::kPartial:
      return context.respond_kind(code, partial_of(*object));
    case View::kTable: {
      auto include = row_object(context.query);
      if (!include.ok()) return context.fail(include.status());
      Table table;
      table.metadata.resource_version = object->metadata().resource_version;
      if (Status status = fill_table(table, {object}, resource, *include, clock, context.custom.get()); !status.ok()) {
        return context.fail(status);
      }
      return context.respond_kind(code, table);
    }
  }
}

void respond_list(RequestContext& context, const api::ResourceInfo& resource, const ListPage& page,
                  const Clock& clock) {
  api::metav1::ListMeta metadata;
  metadata.resource_version = page.resource_version;
  metadata.continue_ = page.continue_token;
  if (page.remaining > 0) metadata.remaining_item_count = page.remaining;
  if (context.accepted.view == View::kTable) {
    auto include = row_object(context.query);
    if (!include.ok()) return context.fail(include.status());
    Table table;
    table.metadata = metadata;
    if (Status status = fill_table(table, page.items, resource, *include, clock, context.custom.get()); !status.ok()) {
      return context.fail(status);
    }
    return context.respond_kind(200, table);
  }
  if (context.accepted.local) {
    // The list without its items as bytes, and the items as they are.
    auto pieces = proto_list(*resource.list_type, metadata, resource, View::kObject, {});
    if (!pieces.ok()) return context.fail(pieces.status());
    std::vector<net::LocalPart> parts;
    parts.reserve(page.items.size());
    for (const CachedPointer& item : page.items) {
      auto part = local_part("ITEM", item, *resource.type);
      if (!part.ok()) return context.fail(part.status());
      parts.push_back(std::move(*part));
    }
    return context.respond_local(200, content_type(context.accepted.media), std::move(*pieces), std::move(parts));
  }
  const api::TypeInfo& list_type = context.accepted.view == View::kPartial
                                       ? api::type_info<api::metav1::PartialObjectMetadataList>()
                                       : *resource.list_type;
  auto make = context.accepted.media == Media::kProto ? proto_list : json_list;
  auto pieces = make(list_type, metadata, resource, context.accepted.view, page.items);
  if (!pieces.ok()) return context.fail(pieces.status());
  respond_pieces(context, 200, std::move(*pieces));
}

namespace {

class Format : public WatchFormat {
 public:
  Format(const RequestContext& context, const api::ResourceInfo& resource, RowObject include, const Clock& clock)
      : resource_(resource),
        custom_(context.custom),
        encoding_(encoding_of(context.accepted.media)),
        view_(context.accepted.view),
        include_(include),
        clock_(clock) {
    identity_ = std::string(resource.type->schema_name);
    identity_ += static_cast<char>('0' + static_cast<int>(encoding_));
    identity_ += static_cast<char>('0' + static_cast<int>(view_));
    identity_ += static_cast<char>('0' + static_cast<int>(include_));
  }

  std::string_view identity() const override { return identity_; }
  bool first_differs() const override { return view_ == View::kTable; }

  Result<Frame> frame(std::string_view event, const CachedPointer& object, bool first) const override {
    if (view_ == View::kObject) {
      TRY_ASSIGN(SharedBytes body, object->body(*resource_.type, encoding_));
      return Frame{share(event_frame(event, encoding_, object_pieces(*resource_.type, encoding_, std::move(body)))),
                   {}};
    }
    if (view_ == View::kPartial) return whole(event, partial_of(*object));
    Table table;
    if (first) table.column_definitions = columns_of(resource_, custom_.get());
    table.metadata.resource_version = object->metadata().resource_version;
    TRY_ASSIGN(auto row, row_of(*object, resource_, include_, clock_, custom_.get()));
    table.rows.push_back(std::move(row));
    return whole(event, table);
  }

  Frame bookmark(store::Revision revision, bool initial_end) const override {
    api::metav1::ObjectMeta metadata;
    metadata.resource_version = std::to_string(revision);
    if (initial_end) metadata.annotations[std::string(api::metav1::kInitialEventsAnnotationKey)] = "true";
    switch (view_) {
      case View::kObject: {
        api::Object object(*resource_.type);
        object.metadata() = std::move(metadata);
        return whole("BOOKMARK", object.type(), object.data());
      }
      case View::kPartial: {
        PartialObjectMetadata partial;
        partial.metadata = std::move(metadata);
        return whole("BOOKMARK", partial);
      }
      case View::kTable: {
        // A row without cells carries the metadata.
        PartialObjectMetadata partial;
        partial.metadata = std::move(metadata);
        Table table;
        table.metadata.resource_version = std::to_string(revision);
        table.rows.emplace_back();
        table.rows.back().object.text = api::encode_json(partial);
        return whole("BOOKMARK", table);
      }
    }
    return {};
  }

  Frame error(const Status& status) const override { return whole("ERROR", api::to_metav1(status)); }

 private:
  template <typename T>
  Frame whole(std::string_view event, const T& object) const {
    return whole(event, api::type_info<T>(), &object);
  }
  Frame whole(std::string_view event, const api::TypeInfo& type, const void* object) const {
    std::string text;
    if (encoding_ == Encoding::kJson) {
      api::append_json(type, object, text);
    } else {
      std::string raw;
      api::append_proto(type, object, raw);
      text = api::wrap_proto(type.api_version, type.kind, raw);
    }
    return {share(event_frame(event, encoding_, {share(std::move(text))})), {}};
  }

  const api::ResourceInfo& resource_;
  const extensions::CustomVersionPointer custom_;
  const Encoding encoding_;
  const View view_;
  const RowObject include_;
  const Clock& clock_;
  std::string identity_;
};

/// Hands the objects themselves to a client in this process.
class LocalFormat : public WatchFormat {
 public:
  explicit LocalFormat(const api::ResourceInfo& resource)
      : type_(*resource.type), identity_(std::string(net::kLocalMediaType).append(type_.schema_name)) {}

  std::string_view identity() const override { return identity_; }
  Result<Frame> frame(std::string_view event, const CachedPointer& object, bool) const override {
    TRY_ASSIGN(net::LocalPart part, local_part(event, object, type_));
    return Frame{nullptr, std::move(part)};
  }
  Frame bookmark(store::Revision revision, bool initial_end) const override {
    auto object = std::make_shared<api::Object>(type_);
    object->metadata().resource_version = std::to_string(revision);
    if (initial_end) object->metadata().annotations[api::metav1::kInitialEventsAnnotationKey] = "true";
    return {nullptr, {"BOOKMARK", &type_, std::shared_ptr<const void>(object, object->data())}};
  }
  Frame error(const Status& status) const override {
    return {nullptr,
            {"ERROR", &api::type_info<api::metav1::Status>(),
             std::make_shared<const api::metav1::Status>(api::to_metav1(status))}};
  }

 private:
  const api::TypeInfo& type_;
  const std::string identity_;
};

}  // namespace

Result<std::shared_ptr<const WatchFormat>> watch_format(const RequestContext& context,
                                                        const api::ResourceInfo& resource, const Clock& clock) {
  if (context.accepted.local) return std::shared_ptr<const WatchFormat>(std::make_shared<LocalFormat>(resource));
  RowObject include = RowObject::kMetadata;
  if (context.accepted.view == View::kTable) {
    TRY_ASSIGN(include, row_object(context.query));
  }
  return std::shared_ptr<const WatchFormat>(std::make_shared<Format>(context, resource, include, clock));
}

}  // namespace trireme::apiserver
