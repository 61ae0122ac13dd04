// openid-client (https://github.com/panva/openid-client) with what FAPI 2.0 is made of, piece by piece or all together:
// pushed and signed requests, signed responses, DPoP with and without nonces, private_key_jwt, client certificates.
// First line in: what to do, as JSON. First line out: the authorization request. Second line in: the callback.
import { createInterface } from "node:readline";
import { createPrivateKey, webcrypto } from "node:crypto";
import { overTls } from "./tls.mjs";
import * as client from "openid-client";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value;
const asked = JSON.parse(await next());

const der = createPrivateKey(asked.private_key).export({ type: "pkcs8", format: "der" });
const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const key = await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
// FAPI 2.0 5.3.2.1: the audience is the issuer, as a string.
const alone = { [client.modifyAssertion]: (_header, payload) => (payload.aud = asked.issuer) };
const authentication = {
  private_key_jwt: () => client.PrivateKeyJwt({ key, kid: "p256" }, alone),
  tls_client_auth: () => client.TlsClientAuth(),
  self_signed_tls_client_auth: () => client.TlsClientAuth(),
  client_secret_basic: () => client.ClientSecretBasic(asked.client_secret),
}[asked.method]();

const metadata = {
  authorization_signed_response_alg: asked.jarm,
  id_token_signed_response_alg: asked.id_token_alg,
  use_mtls_endpoint_aliases: Boolean(asked.tls),
  require_signed_request_object: Boolean(asked.jar),
};
const execute = [client.enableNonRepudiationChecks];
if (!asked.tls) execute.push(client.allowInsecureRequests);
if (asked.jarm) execute.push(client.useJwtResponseMode);
const config = await client.discovery(new URL(asked.issuer), asked.client_id, metadata, authentication, {
  execute,
  algorithm: asked.discovery,
  ...(asked.tls && { [client.customFetch]: overTls(asked.tls) }),
});
const DPoP = asked.dpop ? client.getDPoPHandle(config, await client.randomDPoPKeyPair(asked.dpop)) : undefined;
const options = DPoP && { DPoP };
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const openid = asked.scope.split(" ").includes("openid");
const nonce = openid ? client.randomNonce() : undefined;
let parameters = {
  redirect_uri: asked.redirect_uri,
  scope: asked.scope,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  ...(nonce && { nonce }),
  ...asked.parameters,
};
if (asked.jar) {
  const signed = await client.buildAuthorizationUrlWithJAR(config, parameters, { key, kid: "p256" });
  parameters = Object.fromEntries(signed.searchParams);
}
const request = asked.par
  ? await client.buildAuthorizationUrlWithPAR(config, parameters, options)
  : client.buildAuthorizationUrl(config, parameters);
console.log(request.href);

const callback = new URL(await next());
const failure = (error) => ({ error: error.error ?? error.code, name: error.name });
const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: openid };
const tokens = await client.authorizationCodeGrant(config, callback, checks, undefined, options).catch(failure);
if (tokens.error) {
  console.log(JSON.stringify(tokens));
  process.exit(0);
}
const userinfo = openid
  ? await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, options)
  : null;
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, options);
const introspected = await client.tokenIntrospection(config, refreshed.access_token);
let resource = null;
if (asked.resource) {
  const url = new URL(asked.resource);
  const answer = await client.fetchProtectedResource(
    config, refreshed.access_token, url, "GET", undefined, undefined, options,
  );
  resource = { status: answer.status, body: await answer.json() };
}
await client.tokenRevocation(config, refreshed.refresh_token);
const refused = await client.refreshTokenGrant(config, refreshed.refresh_token, undefined, options).then(() => null, failure);
console.log(
  JSON.stringify({
    query: [...request.searchParams.keys()],
    answered: [...callback.searchParams.keys()],
    userinfo,
    introspected,
    resource,
    refused,
    type: tokens.token_type,
    scope: tokens.scope,
    same: refreshed.refresh_token === tokens.refresh_token,
  }),
);
process.exit(0);
