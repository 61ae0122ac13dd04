// openid-client (https://github.com/panva/openid-client) registers itself (RFC 7591), signs somebody in, and goes again.
// First line in: what to do, as JSON. First line out: the authorization request. Second line in: the callback.
// It has no calls for RFC 7592: its request to a protected resource serves, with the registration access token.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value;
const asked = JSON.parse(await next());

const issuer = new URL(asked.issuer);
const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks];
const register = (metadata, initialAccessToken) =>
  client.dynamicClientRegistration(issuer, metadata, undefined, { execute, initialAccessToken });
const failure = (error) => ({ status: error.cause?.status ?? error.status, error: error.error, code: error.code });
const { software_statement, ...plain } = asked.metadata;
const refused = [
  await register(asked.metadata).catch(failure),
  await register({ ...plain, software_statement: `${software_statement}x` }, asked.token).catch(failure),
];

const config = await register(asked.metadata, asked.token);
const registered = config.clientMetadata();
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const request = client.buildAuthorizationUrl(config, {
  redirect_uri: registered.redirect_uris[0],
  scope: registered.scope,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
});
console.log(request.href);
const checks = { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true };
const tokens = await client.authorizationCodeGrant(config, new URL(await next()), checks);

const place = new URL(registered.registration_client_uri);
const manage = (method, members) => {
  const headers = new Headers(members && { "content-type": "application/json" });
  const body = members && JSON.stringify(members);
  return client.fetchProtectedResource(config, registered.registration_access_token, place, method, body, headers);
};
const read = await (await manage("GET")).json();
const { client_id_issued_at, client_secret_expires_at, registration_access_token, registration_client_uri, ...rest } =
  read;
const updated = await (await manage("PUT", { ...rest, software_version: "2" })).json();
const deleted = (await manage("DELETE")).status;
const gone = [
  await manage("GET").catch(failure),
  await client.refreshTokenGrant(config, tokens.refresh_token).catch(failure),
];
console.log(
  JSON.stringify({ refused, registered, scope: tokens.scope, claims: tokens.claims(), read, updated, deleted, gone }),
);
process.exit(0);
