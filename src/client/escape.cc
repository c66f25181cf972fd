#include "client/escape.h"

#include "net/http.h"

namespace trireme::client {

std::string escaped(std::string_view text) { return net::percent_encode(text); }

}  // namespace trireme::client
