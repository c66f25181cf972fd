#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/discoveryv1.h"
#include "api/types/networkingv1.h"

/// What Ingresses ask for, as virtual servers, locations and upstreams. Pure: everything read is passed in.
/// https://kubernetes.io/docs/concepts/services-networking/ingress/
namespace trireme::ingress {

inline constexpr std::string_view kControllerName = "trireme.dev/ingress";
inline constexpr std::string_view kClassName = "trireme";
inline constexpr std::string_view kClassAnnotation = "kubernetes.io/ingress.class";
inline constexpr std::string_view kDefaultClassAnnotation = "ingressclass.kubernetes.io/is-default-class";

struct ObjectName {
  std::string ns;
  std::string name;
  auto operator<=>(const ObjectName&) const = default;
};

/// A secret of type kubernetes.io/tls, as far as it could be read.
struct TlsSecret {
  std::string certificate_pem;
  std::string key_pem;
  std::string problem;  ///< Why it cannot be used; empty: it can.
};

struct Inputs {
  using Ingress = api::networkingv1::Ingress;
  std::vector<std::shared_ptr<const Ingress>> ingresses;
  std::vector<std::shared_ptr<const api::networkingv1::IngressClass>> classes;
  std::map<ObjectName, std::shared_ptr<const api::corev1::Service>> services;
  std::map<ObjectName, std::vector<std::shared_ptr<const api::discoveryv1::EndpointSlice>>> slices;  ///< By service.
  std::map<ObjectName, TlsSecret> secrets;  ///< Those of `wanted_secrets`.
};

/// One port of a service: where its requests go.
struct Upstream {
  std::string name;                    ///< Of letters, digits, '-' and '_'.
  std::vector<std::string> endpoints;  ///< "10.244.0.5:8080", "[fd00::5]:8080"; sorted. Empty: answered 503.
};

struct Location {
  enum class Match { kExact, kBelow };  ///< kBelow: the path itself (see Plan) and all that begins with path + "/".
  Match match = Match::kExact;
  std::string path;      ///< With kBelow without a '/' at its end; "" is everything.
  std::string upstream;  ///< Empty: there is no such service or port, 503.
};

struct VirtualServer {
  std::string host;                ///< "www.example.com", "*.example.com" (one label for the star); empty: all others.
  const TlsSecret* tls = nullptr;  ///< Null: the default certificate. Of Inputs::secrets.
  std::vector<Location> locations;
};

/// Something about an Ingress that its owner should know: an event.
struct Problem {
  std::shared_ptr<const Inputs::Ingress> ingress;
  std::string reason;
  std::string message;
};

struct Plan {
  std::vector<VirtualServer> servers;  ///< By host; the one without host first, which is always there.
  std::vector<Upstream> upstreams;     ///< By name.
  std::vector<Problem> problems;
  std::vector<std::shared_ptr<const Inputs::Ingress>> claimed;  ///< Those that are ours.
};

/// Whether this controller serves the Ingress: by its class's controller, by the older annotation, or by ours being the
/// default class.
bool is_ours(const Inputs::Ingress& ingress,
             const std::vector<std::shared_ptr<const api::networkingv1::IngressClass>>& classes);

/// The secrets that our Ingresses name.
std::set<ObjectName> wanted_secrets(const Inputs& inputs);

/// Where two Ingresses claim the same path of a host the older one has it.
Plan make_plan(const Inputs& inputs);

/// Host names as the API allows them, and nothing else: what may stand in a configuration.
bool valid_host(std::string_view host);
/// Paths that begin with '/' and have no control characters.
bool valid_path(std::string_view path);

}  // namespace trireme::ingress
