#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Which form of an answer a client accepts, and which form its body has.
namespace trireme::apiserver {

enum class Media : uint8_t { kJson, kYaml, kProto };

/// What of an object is sent. https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations
enum class View : uint8_t { kObject, kTable, kPartial };

struct Accepted {
  Media media = Media::kJson;
  View view = View::kObject;
  bool pretty = false;
  bool local = false;  ///< Lists and watches hand over the objects themselves; `media` holds for everything else.
};

/// What an endpoint can answer.
struct Offer {
  bool views = false;  ///< Tables and metadata alone too.
  bool yaml = true;
  bool proto = true;
  bool local = false;  ///< To a client in this process: see net::kLocalMediaType.
};

/// The client's first choice among what is offered. NotAcceptable (406).
Result<Accepted> negotiate(std::string_view accept, const Offer& offer);
/// The Content-Type of an answer in that form; `stream` for watches.
std::string_view content_type(Media media, bool stream = false);

/// One clause of an Accept header, for endpoints with forms of their own (discovery).
struct AcceptClause {
  std::string type;
  double quality = 1;
  std::string as, group, version;
};
/// In order of preference.
std::vector<AcceptClause> parse_accept(std::string_view accept);
bool matches(const AcceptClause& clause, std::string_view media_type);

/// The form of a request body; JSON when the header is missing. UnsupportedMediaType (415).
Result<Media> body_media(std::string_view content_type);

Status not_acceptable();

}  // namespace trireme::apiserver
