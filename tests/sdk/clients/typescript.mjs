// An MCP client of the official TypeScript SDK, driven by lines of JSON: `node typescript.mjs sdk|client URL`.
// `sdk` is @modelcontextprotocol/sdk (1.x), `client` is @modelcontextprotocol/client (2.x).
// In:  {"tag": 1, "tool": "search", "arguments": {...}}     calls a tool; calls run beside each other
// Out: {"tag": 1, "text": "..."} or {"tag": 1, "error": "...", "code": -32603}; tag 0 says that it is connected
// It ends when its input does.
import { createInterface } from "node:readline";

const [flavour, url] = process.argv.slice(2);
const load = {
  sdk: async () => ({
    ...(await import("@modelcontextprotocol/sdk/client/index.js")),
    ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
  }),
  client: () => import("@modelcontextprotocol/client"),
};
const { Client, StreamableHTTPClientTransport } = await load[flavour]();

const say = (tag, what) => process.stdout.write(`${JSON.stringify({ tag, ...what })}\n`);
const failure = (error) => ({ error: String(error?.message ?? error), code: error?.code ?? null });

const client = new Client({ name: "matrix", version: "1.0.0" });
client.onerror = () => {};
try {
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  await client.listTools();
  say(0, { text: "connected" });
} catch (error) {
  say(0, failure(error));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { tag, tool, arguments: given = {} } = JSON.parse(line);
  const started = performance.now();
  const took = () => ({ ms: performance.now() - started });
  client.callTool({ name: tool, arguments: given }).then(
    (result) => say(tag, { text: JSON.stringify(result), failed: result.isError === true, ...took() }),
    (error) => say(tag, { ...failure(error), ...took() }),
  );
}
process.exit(0);
