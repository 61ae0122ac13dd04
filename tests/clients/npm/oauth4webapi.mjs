// oauth4webapi (https://github.com/panva/oauth4webapi), the strictest reader of answers, through the same story.
// First line in: what to do, as JSON. First line out: the authorization request. Second line in: the callback.
import { createInterface } from "node:readline";
import * as oauth from "oauth4webapi";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value;
const asked = JSON.parse(await next());
const insecure = { [oauth.allowInsecureRequests]: true };
const confidential = asked.method !== "none";
const secret = { client_secret_basic: oauth.ClientSecretBasic, client_secret_post: oauth.ClientSecretPost }[asked.method];
const authentication = confidential ? secret(asked.client_secret) : oauth.None();
const client = { client_id: asked.client_id };

const issuer = new URL(asked.issuer);
const found = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: asked.discovery });
const server = await oauth.processDiscoveryResponse(issuer, found);
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const request = new URL(server.authorization_endpoint);
request.search = new URLSearchParams({
  client_id: asked.client_id,
  response_type: "code",
  redirect_uri: asked.redirect_uri,
  scope: asked.scope,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
  ...asked.parameters,
}).toString();
console.log(request.href);

const callback = new URL(await next());
const redeem = async () => {
  const parameters = oauth.validateAuthResponse(server, client, callback, state);
  const answer = await oauth.authorizationCodeGrantRequest(
    server, client, authentication, parameters, asked.redirect_uri, verifier, insecure,
  );
  const expected = { expectedNonce: nonce, requireIdToken: true, maxAge: asked.parameters?.max_age };
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, expected);
  await oauth.validateApplicationLevelSignature(server, answer, insecure);
  return tokens;
};
const refresh = async (token) => {
  const answer = await oauth.refreshTokenGrantRequest(server, client, authentication, token, insecure);
  return oauth.processRefreshTokenResponse(server, client, answer);
};
const introspect = async (token) => {
  if (!confidential) return null;
  const answer = await oauth.introspectionRequest(server, client, authentication, token, insecure);
  return oauth.processIntrospectionResponse(server, client, answer);
};
const revoke = async (token) =>
  oauth.processRevocationResponse(await oauth.revocationRequest(server, client, authentication, token, insecure));
const failure = (error) => ({ error: error.error ?? error.code, name: error.name });

const tokens = await redeem();
const claims = oauth.getValidatedIdTokenClaims(tokens);
const asking = await oauth.userInfoRequest(server, client, tokens.access_token, insecure);
const userinfo = await oauth.processUserInfoResponse(server, client, claims.sub, asking);
const refreshed = await refresh(tokens.refresh_token);
let jwt = null;
if (asked.audience) {
  const call = new Request(asked.audience, { headers: { authorization: `Bearer ${refreshed.access_token}` } });
  jwt = await oauth.validateJwtAccessToken(server, call, asked.audience, insecure);
}
const before = await introspect(refreshed.access_token);
await revoke(refreshed.access_token);
const after = await introspect(refreshed.access_token);
await revoke(refreshed.refresh_token);
const refused = await refresh(refreshed.refresh_token).then(() => null, failure);
const replayed = await redeem().then(() => null, failure);
console.log(
  JSON.stringify({
    claims,
    userinfo,
    jwt,
    before,
    after,
    refused,
    replayed,
    scope: tokens.scope,
    type: tokens.token_type,
    seconds: tokens.expires_in,
    rotated: refreshed.refresh_token !== tokens.refresh_token,
  }),
);
process.exit(0);
