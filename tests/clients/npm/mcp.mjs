// @modelcontextprotocol/sdk (https://github.com/modelcontextprotocol/typescript-sdk) from a 401 to a tool and a refresh.
// First line in: what to do, as JSON. First line out: the authorization request. Second line in: the callback.
import { createInterface } from "node:readline";
import { randomUUID } from "node:crypto";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value;
const asked = JSON.parse(await next());

const kept = { state: randomUUID(), requests: [] };
const provider = {
  clientMetadataUrl: asked.document,
  redirectUrl: asked.redirect_uri,
  clientMetadata: {
    client_name: "Notes client",
    redirect_uris: [asked.redirect_uri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  state: () => kept.state,
  clientInformation: () => kept.client,
  saveClientInformation: (client) => (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => (kept.verifier = verifier),
  discoveryState: () => kept.discovery,
  saveDiscoveryState: (discovery) => (kept.discovery = discovery),
  redirectToAuthorization: (url) => console.log(url.href),
};

const remembering = (url, options) => {
  const form = options?.body instanceof URLSearchParams ? Object.fromEntries(options.body) : undefined;
  kept.requests.push({ path: new URL(url).pathname, form });
  return fetch(url, options);
};
const client = () => new Client({ name: "notes", version: "1" });
const transport = () =>
  new StreamableHTTPClientTransport(new URL(asked.resource), { authProvider: provider, fetch: remembering });

const first = transport();
const unauthorized = await client()
  .connect(first)
  .then(() => false, (error) => error instanceof UnauthorizedError);

// The SDK looks at neither state nor iss (RFC 9207): that is left to the program around it.
const callback = new URL(await next()).searchParams;
const { issuer } = kept.discovery.authorizationServerMetadata;
if (callback.get("state") !== kept.state || callback.get("iss") !== issuer) throw new Error("not our answer");
await first.finishAuth(callback.get("code"));
const tokens = kept.tokens;

const connected = client();
await connected.connect(transport());
const { tools } = await connected.listTools();
const call = async (name, args) => (await connected.callTool({ name, arguments: args })).structuredContent.result;
const added = await call("add_note", { text: asked.text });
const before = kept.requests.length;
// What it holds is good no longer: it refreshes by itself.
kept.tokens = { ...tokens, access_token: "worn-out" };
const notes = await call("list_notes", {});

console.log(
  JSON.stringify({
    unauthorized,
    client_id: kept.client.client_id,
    scope: tokens.scope,
    tools: tools.map((tool) => tool.name).sort(),
    added,
    notes,
    first: kept.requests.slice(0, before),
    second: kept.requests.slice(before),
    tokens: [tokens, kept.tokens],
  }),
);
process.exit(0);
