#pragma once

#include "apiserver/api_server.h"

/// What the server writes itself because of those whom it authenticates.
namespace trireme::apiserver::authn {

/// Publishes the authority of client certificates, in kube-system/extension-apiserver-authentication, for servers that
/// let this one decide who may call them.
Status publish_client_authority(ApiServer& server, const std::string& pem);

/// Makes sure that the map of api/legacy_tokens.h tells a day: today, unless it tells one already. What the server
/// answers otherwise.
Status keep_token_tracking(ApiServer& server, WallTime now);

/// Sets a label of a secret, as the server itself; fails when the name is another secret's by now.
Status label_secret(ApiServer& server, const std::string& ns, const std::string& name, const std::string& uid,
                    const std::string& label, const std::string& value);

}  // namespace trireme::apiserver::authn
