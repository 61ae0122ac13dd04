// oauth4webapi (https://github.com/panva/oauth4webapi) with what FAPI 2.0 is made of; it checks every answer by itself,
// and leaves nonces, keys and formats to this script.
// First line in: what to do, as JSON. First line out: the authorization request. Second line in: the callback.
import { createInterface } from "node:readline";
import { createPrivateKey, webcrypto } from "node:crypto";
import { overTls } from "./tls.mjs";
import * as oauth from "oauth4webapi";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value;
const asked = JSON.parse(await next());
const over = asked.tls ? { [oauth.customFetch]: overTls(asked.tls) } : { [oauth.allowInsecureRequests]: true };

const der = createPrivateKey(asked.private_key).export({ type: "pkcs8", format: "der" });
const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const key = { key: await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]), kid: "p256" };
const alone = { [oauth.modifyAssertion]: (_header, payload) => (payload.aud = asked.issuer) };
const authentication = asked.method === "private_key_jwt" ? oauth.PrivateKeyJwt(key, alone) : oauth.TlsClientAuth();
const client = {
  client_id: asked.client_id,
  id_token_signed_response_alg: asked.id_token_alg,
  authorization_signed_response_alg: asked.jarm,
  introspection_signed_response_alg: asked.introspection_alg,
  use_mtls_endpoint_aliases: Boolean(asked.tls),
};
const issuer = new URL(asked.issuer);
const found = await oauth.discoveryRequest(issuer, { ...over, algorithm: asked.discovery });
const server = await oauth.processDiscoveryResponse(issuer, found);
const DPoP = asked.dpop ? oauth.DPoP(client, await oauth.generateKeyPair(asked.dpop)) : undefined;
const bound = { ...over, ...(DPoP && { DPoP }) };

// A server that wants a nonce says so once; the library keeps it, and the second attempt carries it.
async function again(attempt, read) {
  try {
    return await read(await attempt());
  } catch (error) {
    if (!DPoP || !oauth.isDPoPNonceError(error)) throw error;
    nonces += 1;
    return read(await attempt());
  }
}
let nonces = 0;

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const parameters = new URLSearchParams({
  client_id: asked.client_id,
  response_type: "code",
  redirect_uri: asked.redirect_uri,
  scope: asked.scope,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  ...asked.parameters,
});
if (asked.jarm) parameters.set("response_mode", "jwt");
const pushed = new URLSearchParams(
  asked.jar
    ? { client_id: asked.client_id, request: await oauth.issueRequestObject(server, client, parameters, key) }
    : parameters,
);
const reference = await again(
  () => oauth.pushedAuthorizationRequest(server, client, authentication, pushed, bound),
  (answer) => oauth.processPushedAuthorizationResponse(server, client, answer),
);
const request = new URL(server.authorization_endpoint);
request.search = new URLSearchParams({ client_id: asked.client_id, request_uri: reference.request_uri }).toString();
console.log(request.href);

const callback = new URL(await next());
const response = asked.jarm
  ? await oauth.validateJwtAuthResponse(server, client, callback, state, over)
  : oauth.validateAuthResponse(server, client, callback, state);
const tokens = await again(
  () => oauth.authorizationCodeGrantRequest(server, client, authentication, response, asked.redirect_uri, verifier, bound),
  (answer) => oauth.processAuthorizationCodeResponse(server, client, answer),
);
const refreshed = await again(
  () => oauth.refreshTokenGrantRequest(server, client, authentication, tokens.refresh_token, bound),
  (answer) => oauth.processRefreshTokenResponse(server, client, answer),
);
const signed = Boolean(asked.introspection_alg);
const introspecting = await oauth.introspectionRequest(server, client, authentication, refreshed.access_token, {
  ...over,
  requestJwtResponse: signed,
});
const kind = introspecting.headers.get("content-type");
const copy = signed ? introspecting.clone() : null;
const introspected = await oauth.processIntrospectionResponse(server, client, introspecting);
if (copy) await oauth.validateApplicationLevelSignature(server, introspecting, over);
console.log(JSON.stringify({ type: refreshed.token_type, scope: tokens.scope, introspected, kind, nonces }));
process.exit(0);
