#include "apiserver/legacy/translating_exchange.h"

#include <mutex>
#include <utility>

#include "api/value.h"

namespace trireme::apiserver::legacy {
namespace {

using api::Value;

class TranslatingExchange final : public net::Exchange {
 public:
  TranslatingExchange(std::shared_ptr<net::Exchange> outer, net::Request request, const Kind& kind, Version version)
      : outer_(std::move(outer)), request_(std::move(request)), kind_(kind), version_(version) {}

  const net::Request& request() const override { return request_; }
  std::string take_body() override { return std::move(request_.body); }

  void respond(int status, net::Headers headers, std::vector<SharedBytes> body) override {
    std::string text;
    for (const SharedBytes& piece : body) text += *piece;
    auto parsed = api::parse_value(text);
    if (!parsed.ok()) {
      outer_->respond(status, std::move(headers), std::move(body));
      return;
    }
    headers.remove("Content-Length");
    outer_->respond(status, std::move(headers), {share(api::to_json(translate(*parsed)))});
  }

  void start(int status, net::Headers headers) override { outer_->start(status, std::move(headers)); }

  size_t write(SharedBytes bytes) override {
    std::string translated;
    {
      // Events may be cut anywhere, or come several at once; each ends with a line feed.
      std::lock_guard lock(mutex_);
      partial_ += *bytes;
      size_t start = 0;
      for (size_t end; (end = partial_.find('\n', start)) != std::string::npos; start = end + 1) {
        append_event(std::string_view(partial_).substr(start, end - start), translated);
      }
      partial_.erase(0, start);
    }
    if (translated.empty()) return 0;
    return outer_->write(share(std::move(translated)));
  }

  void finish() override { outer_->finish(); }
  void abort() override { outer_->abort(); }
  bool closed() const override { return outer_->closed(); }
  void on_closed(std::function<void()> callback) override { outer_->on_closed(std::move(callback)); }
  void on_drained(std::function<void()> callback) override { outer_->on_drained(std::move(callback)); }

 private:
  Value translate(const Value& document) const {
    const Value* name = document.find("kind");
    std::string_view kind = name != nullptr ? name->string_or_empty() : std::string_view();
    if (kind == "Status") return status_from_v1(version_, document);
    if (kind == kind_.v1_kind) {
      // A deletion was always answered with a Status, also where today the object is (a pod that is ending).
      if (request_.method == "DELETE") return success();
      return from_v1(kind_, version_, document);
    }
    if (document.find("items") != nullptr) return list_from_v1(kind_, version_, document);
    return document;
  }

  Value success() const {
    Value status = Value::object();
    status["status"] = "Success";
    return status_from_v1(version_, status);
  }

  void append_event(std::string_view line, std::string& out) const {
    auto event = api::parse_value(line);
    if (!event.ok() || !event->is_object()) return;
    const Value* type = event->find("type");
    const Value* object = event->find("object");
    // Bookmarks are of a later time.
    if (type == nullptr || object == nullptr || type->string_or_empty() == "BOOKMARK") return;
    Value translated = Value::object();
    translated["type"] = *type;
    translated["object"] = translate(*object);
    api::append_json(translated, out);
    out += '\n';
  }

  std::shared_ptr<net::Exchange> outer_;
  net::Request request_;
  const Kind& kind_;
  const Version version_;
  std::mutex mutex_;
  std::string partial_;
};

}  // namespace

std::shared_ptr<net::Exchange> translating_exchange(std::shared_ptr<net::Exchange> outer, net::Request request,
                                                    const Kind& kind, Version version) {
  return std::make_shared<TranslatingExchange>(std::move(outer), std::move(request), kind, version);
}

}  // namespace trireme::apiserver::legacy
