
'use strict';
// What classes and reasons mean.
const WORDS = {words};
const by = (id) => document.getElementById(id);
// Text gets onto the page by these two only, never as HTML.
const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const make = (name, text, look) => {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (look) node.className = look;
  return node;
};
const show = (node, is) => { node.hidden = !is; };
const said = (key) => (WORDS[key] ? `${WORDS[key]} (${key})` : key);
const seconds = (ms) => (ms < 59500 ? `${(ms / 1000).toFixed(ms < 9950 && ms % 1000 ? 1 : 0)}\u00a0s` : `${Math.floor(ms / 60000)} min ${Math.round(ms / 1000) % 60} s`);
const ago = (s) => (s < 2 ? 'just now' : s < 120 ? `${s} s ago` : s < 7200 ? `${Math.round(s / 60)} min ago` : s < 172800 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86400)} days ago`);
const clock = (s) => new Date(s * 1000).toLocaleTimeString([], { hour12: false });
const many = (n, one) => `${n} ${one}${n === 1 ? '' : 's'}`;

// What is wrong with a server, in order of weight.
const trouble = (of) => {
  if (of.overrides.includes('off')) return 'switched off by a runtime key';
  if (of.mode === 'forced_open' || of.overrides.includes('forced_open')) return 'held open by hand';
  if (of.has_token === false) return 'no token that may be sent';
  if (of.state === 'open') return 'out of service';
  if (of.state === 'half_open') return 'being probed';
  return '';
};
const look = (of) => (trouble(of) ? (of.state === 'half_open' ? 'warn' : 'bad') : of.health < 60 || of.overrides.includes('drained') ? 'warn' : 'good');
const state = (of) => {
  if (of.state === 'closed') return 'closed';
  const name = of.state === 'open' ? 'OPEN' : 'HALF-OPEN';
  return of.probe_in_ms > 0 ? `${name}, probe in ${seconds(of.probe_in_ms)}` : `${name}, probe due`;
};
const why = (of, now) => {
  const told = [];
  const wrong = trouble(of);
  if (wrong && of.state === 'closed') told.push(wrong);
  const { changed, last_probe: probe } = of;
  const since = (s) => `${clock(s)}, ${ago(Math.max(0, now - s))}`;
  if (of.state !== 'closed' && changed) {
    const { time_s, reason, class: what } = changed;
    told.push(`${of.state === 'open' ? 'opened' : 'half-open since'} ${since(time_s)}: ${WORDS[reason] ?? reason}`);
    if (what && !reason.startsWith('probe')) told.push(`of the last call: ${said(what)}`);
  }
  // What a probe came to before all this is of no interest any more.
  if (probe && (probe.failed || (of.state !== 'closed' && changed && probe.time_s > changed.time_s))) told.push(`the last probe, ${since(probe.time_s)}: ${said(probe.class)}`);
  const hands = of.overrides.filter((hand) => hand !== 'off' && hand !== 'forced_open');
  if (hands.length) told.push(`set by runtime keys: ${hands.join(', ')}`);
  if (of.mode && of.mode !== 'forced_open') told.push(`breaker mode ${of.mode}`);
  const text = told.join('; ');
  return text && `${text[0].toUpperCase()}${text.slice(1)}.`;
};

// Rows stay where they are and their cells change, so that neither focus nor a screen reader loses its place.
const rows = (body, list, key, cells) => {
  const known = new Map([...body.rows].filter((row) => row.dataset.key).map((row) => [row.dataset.key, row]));
  let next = body.firstElementChild;
  for (const of of list) {
    const name = key(of);
    let row = known.get(name);
    known.delete(name);
    if (!row) {
      row = make('tr');
      row.setAttribute('role', 'row');
      row.dataset.key = name;
    }
    if (row !== next) body.insertBefore(row, next);
    cells(row, of);
    next = row.nextElementSibling;
    if (next && next.classList.contains('more')) next = next.nextElementSibling;
  }
  for (const row of known.values()) {
    if (row.nextElementSibling?.classList.contains('more')) row.nextElementSibling.remove();
    row.remove();
  }
};
const cell = (row, at, label) => {
  if (row.cells[at]) return row.cells[at];
  const node = make(at === 0 ? 'th' : 'td');
  node.setAttribute('role', at === 0 ? 'rowheader' : 'cell');
  if (at === 0) node.scope = 'row'; else node.dataset.of = label;
  row.append(node);
  return node;
};
const part = (node, at, name, cls) => {
  if (!node.children[at]) node.append(make(name, '', cls));
  return node.children[at];
};

const serverRow = (now) => (row, of) => {
  const looks = look(of);
  row.className = looks;
  const name = cell(row, 0);
  put(part(name, 0, 'span'), of.server);
  put(part(name, 1, 'span', 'soft'), `${of.kind}, ${of.tier}`);
  const pill = part(cell(row, 1, 'Breaker'), 0, 'span');
  pill.className = `pill ${looks}`;
  put(pill, state(of));
  const health = cell(row, 2, 'Health');
  put(part(health, 0, 'span'), `${of.health} %`);
  const bar = part(health, 1, 'span', 'bar');
  bar.setAttribute('aria-hidden', 'true');
  const fill = part(bar, 0, 'span');
  fill.className = of.health < 30 ? 'bad' : of.health < 60 ? 'warn' : '';
  fill.style.width = `${of.health}%`;
  const calls = cell(row, 3, 'Calls');
  const counts = of.state === 'closed' ? `${of.ok} ok, ${of.failed} failed${of.slow ? `, ${of.slow} slow` : ''}` : 'not counted';
  put(part(calls, 0, 'span'), counts);
  put(part(calls, 1, 'span', 'soft'), of.state === 'closed' ? `in the last ${seconds(of.window_ms)}` : '');
  put(cell(row, 4, 'Latency'), of.latency_ms === undefined ? '-' : `${of.latency_ms} ms`);
  const text = why(of, now);
  let more = row.nextElementSibling?.classList.contains('more') ? row.nextElementSibling : null;
  if (!text) { more?.remove(); return; }
  if (!more) {
    more = make('tr', undefined, 'more');
    more.setAttribute('role', 'row');
    const node = make('td', undefined, 'why');
    node.setAttribute('role', 'cell');
    node.colSpan = 5;
    node.append(make('p'));
    more.append(node);
    row.after(more);
  }
  put(more.querySelector('p'), text);
};

const slotRow = (row, { credential, severity, slot }) => {
  const ends = slot.days_left !== undefined && slot.days_left < 7;
  const looks = !slot.sent ? 'bad' : severity === 'critical' && ends ? 'bad' : ends ? 'warn' : 'good';
  row.className = looks === 'good' ? '' : looks;
  put(cell(row, 0), credential);
  put(cell(row, 1, 'Slot'), slot.slot);
  const pill = part(cell(row, 2, 'State'), 0, 'span');
  pill.className = `pill ${looks}`;
  put(pill, slot.sent ? 'in use' : slot.refused ? 'REFUSED' : slot.fingerprint ? 'NOT SENT' : 'EMPTY');
  const left = cell(row, 3, 'Time left');
  put(part(left, 0, 'span'), slot.days_left === undefined ? 'unknown' : slot.days_left === 0 ? 'less than a day' : many(slot.days_left, 'day'));
  put(part(left, 1, 'span', 'soft'), slot.ends ? slot.ends.slice(0, 10) : '');
  put(part(cell(row, 4, 'Fingerprint'), 0, 'span', 'mono'), slot.fingerprint ?? '-');
};

const headline = (all) => {
  const out = all.filter((of) => look(of) === 'bad').map((of) => of.server);
  const coming = all.filter((of) => of.state === 'half_open').map((of) => of.server);
  const names = (list) => (list.length > 4 ? `${list.slice(0, 3).join(', ')} and ${list.length - 3} more` : list.join(', '));
  if (out.length === all.length) return ['bad', 'No server takes calls'];
  if (out.length) return ['bad', `${out.length} of ${many(all.length, 'server')} out: ${names(out)}`];
  if (coming.length) return ['warn', `Being probed: ${names(coming)}`];
  return ['good', all.length === 1 ? 'The server takes calls' : `All ${all.length} servers take calls`];
};

const switches = (seen) => {
  const told = [];
  const of = seen.mcp_enabled;
  told.push(of === undefined ? ['', 'whether MCP is on is not known here'] : of === '0' ? ['bad', 'MCP IS SWITCHED OFF'] : of === '100' ? ['good', 'MCP is on'] : ['warn', `MCP FOR ${of} % OF CALLS`]);
  for (const task of seen.tasks_off) told.push(['bad', `MCP IS OFF FOR TASK ${task}`]);
  for (const { server, overrides } of seen.servers) for (const hand of overrides) told.push(['warn', `${server} IS ${hand.toUpperCase()}`]);
  return told;
};

// A list that is short, and written anew only when it changes.
const written = new Map();
const list = (node, items, item) => {
  const now = JSON.stringify(items);
  if (written.get(node) === now) return;
  written.set(node, now);
  node.replaceChildren(...items.map(item));
};

let before = null;
const news = (seen) => {
  const now = new Map(seen.servers.map((of) => [of.server, trouble(of) || 'takes calls']));
  const told = before ? [...now].filter(([name, is]) => before.has(name) && before.get(name) !== is).map(([name, is]) => `${name}: ${is}`) : [];
  if (before && seen.mcp_enabled !== before.mcp) told.push(switches(seen)[0][1]);
  before = now;
  before.mcp = seen.mcp_enabled;
  if (told.length) put(by('news'), told.join('. '));
};

const draw = (seen) => {
  const [looks, text] = headline(seen.servers);
  by('headline').className = looks;
  put(by('headline'), text);
  document.title = `${looks === 'good' ? '' : '\u26a0 '}${text} - Dualpath`;
  list(by('switches'), switches(seen), ([cls, words]) => make('li', words, cls));
  rows(by('servers'), seen.servers, (of) => of.server, serverRow(seen.time_s));
  const slots = seen.credentials.flatMap(({ credential, severity, slots }) => slots.map((slot) => ({ credential, severity, slot })));
  show(by('tokens'), slots.length > 0);
  rows(by('slots'), slots, (of) => `${of.credential} ${of.slot.slot}`, slotRow);
  list(by('changes'), seen.transitions, (of) => {
    const item = make('li');
    const time = make('time', clock(of.time_s));
    time.dateTime = new Date(of.time_s * 1000).toISOString();
    const words = make('span');
    words.append(make('strong', of.server), ` ${of.from.replace('_', '-')} to ${of.to.replace('_', '-')}: ${WORDS[of.reason] ?? of.reason}`);
    if (of.class) words.append(make('span', said(of.class), 'soft'));
    item.append(time, words);
    return item;
  });
  show(by('none'), seen.transitions.length === 0);
  put(by('about'), `Dualpath ${seen.version}, registry ${seen.registry}`);
  show(by('all'), true);
  news(seen);
};

// Once a second; where there is no answer ever less often, and at once when somebody comes back to the page.
const EVERY = 1000, SLOWEST = 15000, PATIENCE = 4000;
let last = null, fails = 0, timer = 0, paused = false, asking = false;
const lost = (reason) => {
  fails += 1;
  const since = last ? `No news for ${seconds(Date.now() - last)}. What stands below is of ${clock(last / 1000)}.` : '';
  put(by('lost'), `${reason} ${since}`.trim());
  show(by('lost'), true);
  document.body.className = 'old';
  if (!last) { put(by('headline'), 'Nothing is known'); by('headline').className = 'bad'; }
  document.title = '\u26a0 No answer - Dualpath';
  put(by('fresh'), 'stale');
};
const ask = async () => {
  clearTimeout(timer);
  if (asking || paused) return;
  asking = true;
  try {
    const answer = await fetch('status.json', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status === 503) lost('Envoy answers, but Dualpath has not begun there, or runs another registry now: load the page again.');
    else if (!answer.ok) lost(`Envoy refuses to tell: ${answer.status} ${answer.statusText}.`);
    else {
      const seen = await answer.json();
      last = Date.now();
      fails = 0;
      show(by('lost'), false);
      document.body.className = '';
      draw(seen);
      put(by('fresh'), `live, ${clock(last / 1000)}`);
    }
  } catch { lost('Envoy does not answer.'); }
  asking = false;
  if (!document.hidden && !paused) timer = setTimeout(ask, fails ? Math.min(SLOWEST, EVERY * 2 ** fails) : EVERY);
};
by('pause').addEventListener('click', () => {
  paused = !paused;
  by('pause').setAttribute('aria-pressed', String(paused));
  if (paused) { clearTimeout(timer); put(by('fresh'), last ? `paused at ${clock(last / 1000)}` : 'paused'); } else ask();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
ask();
