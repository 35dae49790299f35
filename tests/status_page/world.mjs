// What stands around the status page in its tests: servers that die and come back, and an Envoy that runs a registry.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { ENVOY, DUALPATH, DUALPATH_WASM } = process.env;

export const free = async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
};

// Waits until something holds.
export const until = async (what, look, patience = 15000) => {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

// An MCP server that can die and come back at the same port.
export class Server {
  static async start(takesMs) {
    const server = new Server();
    server.takesMs = takesMs;
    server.port = await free();
    await server.rise();
    return server;
  }

  async rise() {
    const answer = async (request, response) => {
      let text = '';
      for await (const piece of request) text += piece;
      await new Promise((resolve) => setTimeout(resolve, this.takesMs));
      const { id, method } = JSON.parse(text || '{}');
      if (id === undefined) return response.writeHead(202).end();
      const result = method === 'initialize'
        ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'stub', version: '1' } }
        : method === 'tools/call' ? { content: [{ type: 'text', text: 'ok' }] } : method === 'tools/list' ? { tools: [{ name: 'search', inputSchema: { type: 'object' } }] } : {};
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    };
    this.http = createServer(answer).listen(this.port, '127.0.0.1');
    await once(this.http, 'listening');
  }

  async die() {
    this.http.closeAllConnections();
    this.http.close();
    await once(this.http, 'close');
  }
}

const secret = (name, text) => JSON.stringify({
  resources: [{ '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret', name, generic_secret: { secret: { inline_string: text } } }],
});
const inDays = (days) => `${new Date(Date.now() + days * 86400e3).toISOString().slice(0, 19)}Z`;

// An Envoy with three servers, of which two are `servers`; the third is never reached.
export class Envoy {
  static async start(servers, page = {}) {
    const envoy = new Envoy();
    envoy.folder = mkdtempSync(join(tmpdir(), 'dualpath-page-'));
    [envoy.port, envoy.statusPort, envoy.adminPort] = [await free(), await free(), await free()];
    const file = (name, text) => {
      writeFileSync(join(envoy.folder, name), text);
      return join(envoy.folder, name);
    };
    const slot = (name, days) => ({ sds_file: file(`${name}.json`, secret(name, `the-secret-of-${name}`)), expires: inDays(days) });
    const url = ({ port }) => `http://127.0.0.1:${port}/mcp`;
    const registry = {
      version: 1,
      listener: { port: envoy.port },
      envoy: { wasm_file: DUALPATH_WASM, admin_port: envoy.adminPort },
      status_page: { port: envoy.statusPort, ...page },
      breaker: { consecutive: 3, base_open: '1s', max_open: '2s', ramp: '0s' },
      credentials: [
        { id: 'primary-pat', slots: { a: slot('primary-pat-a', 64.5), b: slot('primary-pat-b', 4.5) } },
        { id: 'secondary-pat', slots: { a: slot('secondary-pat-a', 81.5) } },
      ],
      servers: [
        { id: 'primary', kind: 'mcp', url: url(servers[0]), credential: 'primary-pat', probe: { interval: '500ms', idle: true } },
        { id: 'secondary', kind: 'mcp', tier: 'secondary', url: url(servers[1]), credential: 'secondary-pat' },
        { id: 'snowflake-rest', kind: 'rest', url: url(servers[1]), credential: 'secondary-pat' },
      ],
      tools: [{
        name: 'search', task: 'search', replayable: true, description: 'd', input_schema: { type: 'object' },
        rest: { server: 'snowflake-rest', preset: 'snowflake.search', with: { database: 'D', schema: 'S', service: 'V' } },
      }],
    };
    if (page.token_file) file('status-token.json', secret('status-token', 'the-token-of-operators'));
    if (page.token_file) registry.status_page.token_file = join(envoy.folder, 'status-token.json');
    const bootstrap = join(envoy.folder, 'bootstrap.yaml');
    execFileSync(DUALPATH, ['render', file('registry.json', JSON.stringify(registry)), '-o', bootstrap]);
    await envoy.run(bootstrap);
    return envoy;
  }

  async run(bootstrap = join(this.folder, 'bootstrap.yaml')) {
    this.process = spawn(ENVOY, ['-c', bootstrap, '--concurrency', '1', '--disable-hot-restart', '-l', 'error'], { stdio: ['ignore', 'inherit', 'inherit'] });
    await until('Envoy begins', () => fetch(`${this.page}status.json`).then((answer) => [200, 401].includes(answer.status), () => false), 30000);
  }

  async stop() {
    this.process.kill();
    await once(this.process, 'exit');
  }

  async end() {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }

  get page() { return `http://127.0.0.1:${this.statusPort}/`; }

  // A call, whose answer is of no interest.
  async call() {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'search', arguments: { query: 'q' } } });
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    await (await fetch(`http://127.0.0.1:${this.port}/mcp`, { method: 'POST', headers, body })).text();
  }

  async set(key, value) {
    await fetch(`http://127.0.0.1:${this.adminPort}/runtime_modify?${key}=${value}`, { method: 'POST' });
  }
}
