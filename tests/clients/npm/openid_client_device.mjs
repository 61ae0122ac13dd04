// openid-client (https://github.com/panva/openid-client) on a device without a browser, with and without DPoP.
// First line in: what to do, as JSON. First line out: what a QR code would hold. The second line in is not needed.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const asked = JSON.parse((await lines.next()).value);

const config = await client.discovery(new URL(asked.issuer), asked.client_id, undefined, client.None(), {
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
});
const DPoP = asked.dpop ? client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256")) : undefined;
const device = await client.initiateDeviceAuthorization(config, { scope: asked.scope });
console.log(device.verification_uri_complete);

const failure = (error) => ({ error: error.error ?? error.code, name: error.name });
const tokens = await client.pollDeviceAuthorizationGrant(config, device, undefined, { DPoP }).catch(failure);
if (tokens.error) {
  console.log(JSON.stringify(tokens));
} else {
  const claims = tokens.claims();
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  const userinfo = await client.fetchUserInfo(config, refreshed.access_token, claims.sub, { DPoP });
  console.log(JSON.stringify({ claims, userinfo, scope: tokens.scope, type: tokens.token_type }));
}
process.exit(0);
