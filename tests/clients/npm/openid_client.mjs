// openid-client (https://github.com/panva/openid-client) through code, refresh, introspection, revocation and logout.
// First line in: what to do, as JSON. First line out: the authorization request. Second line in: the callback.
import { createInterface } from "node:readline";
import { createPrivateKey, webcrypto } from "node:crypto";
import * as client from "openid-client";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value;
const asked = JSON.parse(await next());

async function authentication() {
  if (asked.method === "none") return client.None();
  if (asked.method === "client_secret_post") return client.ClientSecretPost(asked.client_secret);
  if (asked.method === "client_secret_jwt") return client.ClientSecretJwt(asked.client_secret);
  if (asked.method === "client_secret_basic") return client.ClientSecretBasic(asked.client_secret);
  const der = createPrivateKey(asked.private_key).export({ type: "pkcs8", format: "der" });
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const key = await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  return client.PrivateKeyJwt({ key, kid: "p256" });
}

const config = await client.discovery(new URL(asked.issuer), asked.client_id, undefined, await authentication(), {
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
  algorithm: asked.discovery,
});
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
const request = client.buildAuthorizationUrl(config, {
  redirect_uri: asked.redirect_uri,
  scope: asked.scope,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
  ...asked.parameters,
});
console.log(request.href);

const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
if (asked.parameters?.max_age !== undefined) checks.maxAge = asked.parameters.max_age;
const callback = new URL(await next());
const failure = (error) => ({ error: error.error ?? error.code, name: error.name });
const tokens = await client.authorizationCodeGrant(config, callback, checks).catch(failure);
if (tokens.error) {
  console.log(JSON.stringify(tokens));
  process.exit(0);
}
const claims = tokens.claims();
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
const confidential = asked.method !== "none";
const introspect = async (token) => (confidential ? client.tokenIntrospection(config, token) : null);
const before = await introspect(refreshed.access_token);
await client.tokenRevocation(config, refreshed.access_token, { token_type_hint: "access_token" });
const after = await introspect(refreshed.access_token);
await client.tokenRevocation(config, refreshed.refresh_token);
const refused = await client.refreshTokenGrant(config, refreshed.refresh_token).then(() => null, failure);
const replayed = await client.authorizationCodeGrant(config, callback, checks).then(() => null, failure);
const own = confidential ? await client.clientCredentialsGrant(config, asked.own) : null;
const logout = client.buildEndSessionUrl(config, {
  id_token_hint: tokens.id_token,
  post_logout_redirect_uri: asked.post_logout_redirect_uri,
  state: "bye",
});
console.log(
  JSON.stringify({
    claims,
    userinfo,
    before,
    after,
    refused,
    replayed,
    scope: tokens.scope,
    type: tokens.token_type,
    seconds: tokens.expires_in,
    refreshed_sub: refreshed.claims()?.sub,
    rotated: refreshed.refresh_token !== tokens.refresh_token,
    own: own && { type: own.token_type, scope: own.scope },
    logout: logout.href,
  }),
);
process.exit(0);
