// fetch with a client certificate and an authority of the test's own; Node's has no place for them.
import { request } from "node:https";

export const overTls = ({ ca, cert, key }) => (url, options) =>
  new Promise((resolve, reject) => {
    const headers = Object.fromEntries(new Headers(options.headers));
    const sent = request(url, { method: options.method, headers, ca, cert, key }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => {
        const body = chunks.length ? Buffer.concat(chunks) : null;
        const response = new Response(body, { status: answer.statusCode, headers: answer.headers });
        resolve(Object.defineProperty(response, "url", { value: url }));
      });
    });
    sent.on("error", reject);
    sent.end(options.body?.toString());
  });
