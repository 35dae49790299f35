// yaml-language-server as an editor drives it: over its standard input and output, in the language server protocol.
import { spawn } from 'node:child_process';

export class LanguageServer {
  #last = 0;
  #answers = new Map();
  #told = new Map();
  #buffer = Buffer.alloc(0);

  // `schemas`: what holds for files that name no schema themselves, a mapping from its URL to patterns of file names.
  constructor(program, schemas) {
    this.settings = { validate: true, completion: true, hover: true, schemas, schemaStore: { enable: false }, kubernetesCRDStore: { enable: false } };
    this.server = spawn(process.execPath, [program, '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.server.stdout.on('data', (data) => this.#read(data));
  }

  async start() {
    const textDocument = { completion: { completionItem: {} }, hover: { contentFormat: ['markdown'] }, publishDiagnostics: {} };
    await this.#ask('initialize', { processId: process.pid, rootUri: null, capabilities: { textDocument }, workspaceFolders: null });
    this.#send({ method: 'initialized', params: {} });
    this.#send({ method: 'workspace/didChangeConfiguration', params: { settings: { yaml: this.settings } } });
  }

  // Opens a text under a URL; answers what is wrong with it, as `line: message`.
  async open(uri, text) {
    const told = new Promise((done) => this.#told.set(uri, done));
    this.#send({ method: 'textDocument/didOpen', params: { textDocument: { uri, languageId: 'yaml', version: 1, text } } });
    return (await told).map(({ range, message }) => ({ line: range.start.line + 1, message }));
  }

  // The words offered at the end of the text that was opened last under this URL.
  async complete(uri, text) {
    const lines = text.split('\n');
    const position = { line: lines.length - 1, character: lines.at(-1).length };
    const found = await this.#ask('textDocument/completion', { textDocument: { uri }, position });
    return found.items.map(({ label }) => label);
  }

  async hover(uri, position) {
    return JSON.stringify(await this.#ask('textDocument/hover', { textDocument: { uri }, position }));
  }

  async stop() {
    const gone = new Promise((done) => this.server.on('exit', done));
    await this.#ask('shutdown');
    this.#send({ method: 'exit' });
    await gone;
  }

  #send(message) {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message });
    this.server.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  }

  #ask(method, params) {
    return new Promise((done) => {
      this.#answers.set(++this.#last, done);
      this.#send({ id: this.#last, method, params });
    });
  }

  #read(data) {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    for (;;) {
      const end = this.#buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/Content-Length: (\d+)/i.exec(this.#buffer.subarray(0, end))[1]);
      if (this.#buffer.length < end + 4 + length) return;
      const message = JSON.parse(this.#buffer.subarray(end + 4, end + 4 + length));
      this.#buffer = this.#buffer.subarray(end + 4 + length);
      this.#take(message);
    }
  }

  #take({ id, method, params, result }) {
    if (method === 'textDocument/publishDiagnostics') {
      this.#told.get(params.uri)?.(params.diagnostics);
    } else if (method === 'workspace/configuration') {
      this.#send({ id, result: params.items.map(({ section }) => (section === 'yaml' ? this.settings : null)) });
    } else if (method !== undefined && id !== undefined) {
      this.#send({ id, result: null });
    } else if (id !== undefined) {
      this.#answers.get(id)?.(result);
    }
  }
}
