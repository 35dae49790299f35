// What an editor says of registries, by yaml-language-server and envoy/registry.schema.json. Arguments: the language server, and the
// folder with the mistakes that tests/check makes.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { LanguageServer } from './language_server.mjs';

const [program, mistakes] = process.argv.slice(2);
const url = (file) => pathToFileURL(file).href;
const server = new LanguageServer(program, { [url('envoy/registry.schema.json')]: ['*/check-mistakes/*.yaml'] });
await server.start();

// A part of a registry beside the examples, which may name the schema as they do.
let made = 0;
const beside = async (text) => {
  const uri = url(`envoy/made-${++made}.yaml`);
  const whole = `# yaml-language-server: $schema=registry.schema.json\nversion: 1\n${text}`;
  return { uri, text: whole, told: await server.open(uri, whole) };
};
const offered = async (text) => {
  const { uri, text: whole } = await beside(text);
  return server.complete(uri, whole);
};

test('every example names the schema in its first line and is right', async () => {
  for (const file of ['envoy/registry.yaml', 'envoy/environments.yaml', 'envoy/tools.yaml', 'envoy/two-regions.yaml', 'envoy/kubernetes/registry.yaml']) {
    const text = readFileSync(file, 'utf8');
    assert.match(text, /^# yaml-language-server: \$schema=\S*registry\.schema\.json/, file);
    assert.deepEqual(await server.open(url(file), text), [], file);
    const told = await server.open(url(`${file}-wrong.yaml`), `${text}\nlistner: {}\n`);
    assert.match(told.at(-1)?.message ?? '', /listner/, `${file}: the schema is found`);
  }
});

test('the registry with every key is right', async () => {
  assert.deepEqual((await beside(readFileSync('src/cli/keys/specimen.yaml', 'utf8').replace('version: 1\n', ''))).told, []);
});

// Mistakes of shape: of keys, types, ranges, and words of a choice. The editor sees them where `dualpath check` does.
const SHAPE = `01-typo-key 02-typo-toplevel 03-unit-missing 04-unit-wrong 05-unit-iso 06-neg-duration 08-port-70000 09-port-huge 10-port-string
  20-url-noscheme 23-url-wss 27-token-in-env 29-token-as-slot 33-token-unknown-key 34-preset-unknown 50-no-version 52-bool-yes 53-bool-string
  54-kind 55-tier 56-id-upper 61-neg-number 62-float-rate 63-huge-num 64-size 67-path 69-null-servers 70-no-servers 71-bad-date 73-slot-c
  85-env-typo-key 89-old-name 96-bad-environment 97-key-near-two 49-version-2 100-pool-size`.split(/\s+/);

test('mistakes of shape are told where check tells them, and what is right is right', async () => {
  const expected = Object.fromEntries(readFileSync('tests/check/expected.txt', 'utf8').split('##### ').slice(1).map((text) => {
    const [name, ...lines] = text.split('\n');
    const places = lines.map((line) => /^registry\.yaml:(\d+):/.exec(line)).filter(Boolean).map(([, line]) => Number(line));
    return [name, { right: lines.includes('rc=0'), places }];
  }));
  const files = readdirSync(mistakes).filter((file) => file.endsWith('.yaml') && /^\d+-/.test(file)).sort();
  assert.ok(files.length > 90, `${files.length} mistakes`);
  const opened = files.map((file) => server.open(url(join(mistakes, file)), readFileSync(join(mistakes, file), 'utf8')));
  for (const [at, file] of files.entries()) {
    const name = file.slice(0, -'.yaml'.length);
    const told = await opened[at];
    const { right, places } = expected[name];
    if (SHAPE.includes(name)) {
      assert.ok(told.length > 0, `${name}: nothing is told`);
      // What the registry lacks as a whole check tells in the first line, the editor at the first key.
      const missed = places.filter((line) => line > 1 && !told.some((one) => one.line === line));
      assert.ok(right || missed.length === 0, `${name}: ${JSON.stringify(told)}, but check tells of ${places}`);
    } else if (right) {
      assert.deepEqual(told, [], name);
    }
  }
});

test('keys are offered with what they mean, and the words of a choice', async () => {
  for (const [text, words] of [
    ['', ['listener', 'servers', 'environments', 'include', 'vars']],
    ['listener:\n  ', ['port', 'client_timeout']],
    ['servers:\n  - id: s\n    ', ['url', 'tier', 'probe']],
    ['servers:\n  - id: s\n    tier: ', ['primary', 'secondary', 'tertiary']],
    ['environments:\n  prod:\n    ', ['listener', 'vars', 'breaker']],
    ['environments:\n  prod:\n    servers:\n      s:\n        ', ['url', 'breaker']],
  ]) {
    const found = await offered(text);
    assert.deepEqual(words.filter((word) => !found.includes(word)), [], `${JSON.stringify(text)}: ${found}`);
  }
  const { uri } = await beside('limits:\n  held: 32MiB\n');
  assert.match(await server.hover(uri, { line: 3, character: 4 }), /The most that one worker holds/);
});

test('an environment may have any key, alone, as a list or by name, and null', async () => {
  const right = 'servers: []\nenvironments:\n  prod:\n    breaker: null\n    servers: {s: null, t: {url: "https://h.example"}}\n    tools: [{name: t, timeout: null}]\n    listener: {port: "${PORT}"}\n';
  assert.deepEqual((await beside(right)).told, []);
  for (const [wrong, line] of [['listener: {prot: 1}', 6], ['servers: {s: {timeout: 3}}', 6], ['tools: [{name: t, replayable: 1}]', 6], ['version: 1', 6], ['include: x', 6]]) {
    const { told } = await beside(`servers: []\nenvironments:\n  prod:\n    ${wrong}\n`);
    assert.deepEqual([...new Set(told.map((one) => one.line))], [line], `${wrong}: ${JSON.stringify(told)}`);
  }
});

test('a variable may stand for any value but not for a name of the environment of Envoy', async () => {
  const text = (slot) => `servers:\n  - {id: "\${A}", kind: "\${B}", url: "https://\${C}", timeout: "\${D}s", attempts: "\${E}"}\ncredentials: [{id: c, slots: {a: {env: ${slot}}}}]\n`;
  assert.deepEqual((await beside(text('PAT'))).told, []);
  assert.equal((await beside(text('"${PAT}"'))).told.length, 1);
});

test('the language server ends', () => server.stop());
