// What a plain call costs the module itself, without Envoy: `node own-code.cjs MODULE CALL ANSWER [ROUNDS]`
//
// The module runs in this V8 on a host that answers at once, and gets the callbacks and answers of the benchmark's call: an MCP
// server, 200, JSON. So code is compared with code, to a fiftieth. What crossings cost in Envoy this does not say: here they are
// JavaScript's and cost next to nothing.
const fs = require("fs");
const [file, callFile, answerFile, rounds = "60"] = process.argv.slice(2);

const CONTINUE = 0, PAUSE = 1, OK = 0, NOT_FOUND = 1;
const GATE = 1, ATTEMPT = 2;
const text = new TextDecoder(), bytes = new TextEncoder();
const call = bytes.encode(fs.readFileSync(callFile, "utf8").replace("TOOL", "search"));
const answer = fs.readFileSync(answerFile);
const secret = bytes.encode("bench-pat-0123456789abcdef0123456789abcdef0123456789abcdef");

const tool = (name) => ({
    name, task: name, replayable: true, servers: ["primary", "secondary"], description: "Finds documents.",
    input_schema: {type: "object", properties: {query: {type: "string"}}, required: ["query"]},
    rest: {server: "rest", preset: "snowflake.search", with: {database: "D", schema: "S", service: "V"}},
});
const registry = {
    version: 1,
    listener: {address: "127.0.0.1", port: 10000, path: "/mcp", expose_headers: false},
    envoy: {wasm_file: "dualpath.wasm", admin_address: "127.0.0.1", admin_port: 9901},
    discovery: {enabled: false},
    credentials: [{
        id: "pat", headers: {"x-snowflake-authorization-token-type": "PROGRAMMATIC_ACCESS_TOKEN"},
        slots: {a: {sds_file: "/run/pat.json"}},
    }],
    servers: [["primary", "mcp", "primary", "/mcp"], ["secondary", "mcp", "secondary", "/mcp"], ["rest", "rest", "primary", ""]]
        .map(([id, kind, tier, path]) => ({id, kind, tier, url: `http://127.0.0.1:80${path}`, credential: "pat"})),
    tools: [..."bcdefghij"].map((letter) => tool(`tool_${letter}`)).concat(tool("search")),
};

// Header pairs as Envoy serialises them: their number, the sizes, then the texts with a zero behind each.
function serialised(headers) {
    const pairs = headers.map((pair) => pair.map((part) => bytes.encode(part)));
    const size = pairs.reduce((sum, [name, value]) => sum + 10 + name.length + value.length, 4);
    const out = new Uint8Array(size), view = new DataView(out.buffer);
    view.setUint32(0, pairs.length, true);
    let at = 4;
    for (const part of pairs.flat()) { view.setUint32(at, part.length, true); at += 4; }
    for (const part of pairs.flat()) { out.set(part, at); at += part.length + 1; }
    return out;
}
const headers = [serialised([
    [":authority", "127.0.0.1:34567"], [":path", "/mcp"], [":method", "POST"], [":scheme", "http"],
    ["content-type", "application/json"], ["accept", "application/json, text/event-stream"],
    ["mcp-protocol-version", "2025-11-25"], ["user-agent", "dualpath-lab"], ["content-length", String(call.length)],
    ["x-forwarded-proto", "http"], ["x-request-id", "0d5e8f3a-1111-4222-8333-444455556666"],
]), null, serialised([
    [":status", "200"], ["content-type", "application/json"], ["content-length", String(answer.length)],
    ["date", "Sat, 28 Nov 2026 18:30:43 GMT"], ["server", "envoy"],
])];

let module_, memory, view, now = 5_000_000_000_000n, plan = new Uint8Array(0), stats = 0, token = 1, configuration;
const shared = new Map();
const see = () => { if (memory?.buffer !== module_.memory.buffer) { memory = new Uint8Array(module_.memory.buffer); view = new DataView(memory.buffer); } };
const read = (at, size) => text.decode(memory.subarray(at, at + size));
const number = (at, value) => { view.setUint32(at, value, true); return OK; };
function give(value, data, size) {
    const at = module_.proxy_on_memory_allocate(value.length);
    see();
    memory.set(value, at);
    number(data, at);
    return number(size, value.length);
}
const nothing = () => OK;
const host = {
    proxy_get_header_map_pairs: (map, data, size) => give(headers[map], data, size),
    proxy_get_header_map_value: (map, at, length, data, size) =>
        read(at, length).startsWith("x-dualpath-slot-") ? give(secret, data, size) : NOT_FOUND,
    proxy_replace_header_map_value: nothing, proxy_remove_header_map_value: nothing,
    proxy_get_buffer_bytes: (kind, start, most, data, size) => give([call, answer][kind] ?? configuration, data, size),
    proxy_set_property: (at, length, value, size) => { plan = memory.slice(value, value + size); return OK; },
    proxy_get_property: (at, length, data, size) => read(at, length) === "plan" ? give(plan, data, size) : NOT_FOUND,
    proxy_get_shared_data: (at, length, data, size, version) => {
        const found = shared.get(read(at, length));
        return found ? (number(version, found.version), give(found.value, data, size)) : NOT_FOUND;
    },
    proxy_set_shared_data: (at, length, value, size) => {
        shared.set(read(at, length), {value: memory.slice(value, value + size), version: ++token});
        return OK;
    },
    proxy_define_metric: (kind, at, length, id) => number(id, ++stats),
    proxy_increment_metric: nothing, proxy_record_metric: nothing, proxy_set_tick_period_milliseconds: nothing,
    proxy_log: (level, at, length) => { console.error(read(at, length)); return OK; },
    proxy_get_current_time_nanoseconds: (at) => { view.setBigUint64(at, 1795890000000000000n, true); return OK; },
    clock_time_get: (id, precision, at) => { view.setBigUint64(at, now, true); return OK; },
    random_get: (at, length) => { memory.fill(7, at, at + length); return OK; },
    environ_sizes_get: (count, size) => { number(count, 0); return number(size, 0); }, environ_get: nothing,
};
const compiled = new WebAssembly.Module(fs.readFileSync(file));
const imports = {};
for (const {module, name} of WebAssembly.Module.imports(compiled)) {
    const answered = host[name] ?? (() => { throw new Error(`the module calls ${name}, which a plain call does not`); });
    (imports[module] ??= {})[name] = (a, b, c, d, e, f) => { see(); return answered(a, b, c, d, e, f); };
}
module_ = new WebAssembly.Instance(compiled, imports).exports;
module_._initialize();

function root(id, role) {
    configuration = bytes.encode(JSON.stringify({registry, ...role}));
    module_.proxy_on_context_create(id, 0);
    if (!module_.proxy_on_configure(id, configuration.length)) throw new Error("the configuration is refused");
}
root(GATE, {role: "gate"});
root(ATTEMPT, {role: "attempt", server: "primary"});

let last = 100;
const ends = ["proxy_on_done", "proxy_on_log", "proxy_on_delete"].filter((name) => module_[name]);
// The callbacks of a call in Envoy's order: which part of it, whose context, what is to come of it, and how to call it.
const walk = [
    ["contexts", undefined, (gate) => module_.proxy_on_context_create(gate, GATE)],
    ["gate: headers", PAUSE, (gate) => module_.proxy_on_request_headers(gate, 11, 0)],
    ["gate: body, plan", CONTINUE, (gate) => module_.proxy_on_request_body(gate, call.length, 1)],
    ["contexts", undefined, (gate, attempt) => module_.proxy_on_context_create(attempt, ATTEMPT)],
    ["attempt: request", CONTINUE, (gate, attempt) => module_.proxy_on_request_headers(attempt, 11, 0)],
    ["passing bodies", CONTINUE, (gate, attempt) => module_.proxy_on_request_body(attempt, call.length, 1)],
    ["attempt: answer's headers", PAUSE, (gate, attempt) => module_.proxy_on_response_headers(attempt, 5, 0)],
    ["attempt: answer's body", CONTINUE, (gate, attempt) => module_.proxy_on_response_body(attempt, answer.length, 1)],
    ["gate: answer", CONTINUE, (gate) => module_.proxy_on_response_headers(gate, 5, 0)],
    ["passing bodies", CONTINUE, (gate) => module_.proxy_on_response_body(gate, answer.length, 1)],
    ["ends", undefined, (gate, attempt) => ends.forEach((name) => name === "proxy_on_log" || module_[name](attempt))],
    ["ends", undefined, (gate) => ends.forEach((name) => module_[name](gate))],
];
function one(run) {
    const gate = ++last, attempt = ++last;
    for (const [part, wanted, enter] of walk) {
        const action = run(part, enter, gate, attempt);
        if (wanted !== undefined && action !== wanted) throw new Error(`${part}: not the way of a plain call`);
    }
    now += 20_000n;
}

const CALLS = 2000;
function round(run) {
    const begun = process.hrtime.bigint();
    for (let n = 0; n < CALLS; n++) one(run);
    const took = Number(process.hrtime.bigint() - begun) / CALLS;
    module_.proxy_on_tick(GATE);
    return took;
}
const plainly = (part, enter, gate, attempt) => enter(gate, attempt);
for (let n = 0; n < 10; n++) round(plainly);
const times = Array.from({length: Number(rounds)}, () => round(plainly)).sort((a, b) => a - b);
const us = (at) => (times[Math.floor(times.length * at)] / 1000).toFixed(2);
console.log(`${us(0)} us per call (p20 ${us(0.2)}, median ${us(0.5)}), ${Math.ceil(fs.statSync(file).size / 1024)} KiB: ${file}`);

// The shares of its parts, by the least of several rounds; looking at the clock is in each of them.
const parts = new Map(), least = new Map();
for (let n = 0; n < 20; n++) {
    parts.clear();
    round((part, enter, gate, attempt) => {
        const begun = process.hrtime.bigint();
        const action = enter(gate, attempt);
        parts.set(part, (parts.get(part) ?? 0) + Number(process.hrtime.bigint() - begun));
        return action;
    });
    parts.forEach((took, part) => least.set(part, Math.min(took, least.get(part) ?? Infinity)));
}
const all = [...least.values()].reduce((sum, took) => sum + took);
for (const [part, took] of [...least].sort((a, b) => b[1] - a[1])) {
    console.log(`${String(Math.round(100 * took / all)).padStart(6)} %  ${part}`);
}
