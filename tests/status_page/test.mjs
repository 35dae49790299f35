// The status page in a real browser, on a real Envoy. Arguments: the folder of playwright-core, and Chromium. With SHOTS=FOLDER it leaves
// pictures there.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Envoy, Server, until } from './world.mjs';

const [packages, program] = process.argv.slice(2);
const { chromium } = createRequire(join(packages, 'node_modules/'))('playwright-core');

let servers, envoy, browser;
before(async () => {
  servers = [await Server.start(12), await Server.start(25)];
  [envoy, browser] = await Promise.all([Envoy.start(servers), chromium.launch({ executablePath: program, args: ['--no-sandbox'] })]);
});
after(async () => {
  await browser?.close();
  await envoy?.end();
  for (const { http } of servers) { http.closeAllConnections(); http.close(); }
});

// A page with what a test may look at: what the browser complained of, and what it asked for.
const open = async (settings = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...settings });
  const page = await context.newPage();
  const seen = { complaints: [], asked: [] };
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) seen.complaints.push(message.text()); });
  page.on('pageerror', (error) => seen.complaints.push(String(error)));
  page.on('request', (request) => seen.asked.push(request.url()));
  const answer = await page.goto(settings.at ?? envoy.page);
  return { page, seen, answer, close: () => context.close() };
};
const headline = (page) => page.locator('h1').textContent();
const calls = (n) => Promise.all(Array.from({ length: n }, () => envoy.call()));

test('it shows a server die and come back, and says so to who listens', async () => {
  const { page, seen, close } = await open();
  await calls(8);
  await until('all is well', async () => await headline(page) === 'All 3 servers take calls');
  await until('calls are counted', async () => / ok/.test(await page.locator('#servers tr').first().textContent()));
  await servers[0].die();
  await calls(6);
  await until('it is out', async () => await headline(page) === '1 of 3 servers out: primary');
  const row = page.locator('#servers tr').first();
  assert.match(await row.textContent(), /^primarymcp, primary(OPEN|HALF-OPEN), probe (in [\d.]+\ss|due)0 %/);
  assert.match(await page.locator('#servers .why').first().textContent(), /^(Opened|Half-open since) \d\d:\d\d:\d\d, .*(too many failures in a row; of the last call: it .* \((not_sent|lost|server)\)|the probe failed|so it is probed)/);
  assert.match(await page.locator('#news').textContent(), /^primary: (out of service|being probed)$/);
  assert.match(await page.locator('#changes li').last().textContent(), /primary closed to open: too many failures in a row/);
  assert.match(await page.title(), /1 of 3 servers out: primary/);
  await servers[0].rise();
  await until('it is back', async () => await headline(page) === 'All 3 servers take calls');
  await until('that is said', async () => await page.locator('#news').textContent() === 'primary: takes calls');
  assert.match(await page.locator('#changes li').first().textContent(), /half-open to closed: it has answered its probes/);
  assert.deepEqual(seen.complaints, []);
  assert.deepEqual([...new Set(seen.asked)].filter((url) => !url.startsWith(envoy.page) && url !== 'data:,'), [], 'nobody else is asked');
  await close();
});

test('it shows what is switched off, and tokens without telling them', async () => {
  const { page, close } = await open();
  await envoy.set('dualpath.mcp_enabled', '50');
  await envoy.set('dualpath.server.secondary.weight', '0');
  const switches = page.locator('#switches');
  await until('switches', async () => /MCP FOR 50 % OF CALLS.*secondary IS DRAINED/.test(await switches.textContent()));
  await envoy.set('dualpath.mcp_enabled', '100');
  await envoy.set('dualpath.server.secondary.weight', '');
  await until('switches are back', async () => await switches.textContent() === 'MCP is on');
  const slots = await page.locator('#slots tr').allTextContents();
  assert.equal(slots.length, 3);
  assert.match(slots[0], /^primary-patain use64 days\d{4}-\d\d-\d\d[0-9a-f]{16}$/);
  assert.match(slots[1], /^primary-patbin use4 days/);
  assert.doesNotMatch(await page.content(), /the-secret-of/);
  await close();
});

test('an Envoy that is gone is told of, ever more rarely asked, and found again', async () => {
  const { page, seen, close } = await open();
  await until('it is there', async () => /^live/.test(await page.locator('#fresh').textContent()));
  await envoy.stop();
  const lost = page.locator('#lost');
  await until('it is missed', async () => /^Envoy does not answer\. No news for .* What stands below is of /.test(await lost.textContent()));
  assert.equal(await page.locator('#fresh').textContent(), 'stale');
  assert.match(await page.title(), /No answer/);
  const [asked, begun] = [seen.asked.length, Date.now()];
  await until('twice more', async () => seen.asked.length >= asked + 2);
  assert.ok(Date.now() - begun > 2500, 'not every second');
  await envoy.run();
  await until('it is found', async () => await lost.isHidden());
  assert.match(await page.locator('#fresh').textContent(), /^live/);
  await close();
});

test('it can be used by keyboard, and can be stopped from moving', async () => {
  const { page, close } = await open();
  await until('it is there', async () => await page.locator('#all').isVisible());
  const stops = [];
  for (let at = 0; at < 3; at += 1) {
    await page.keyboard.press('Tab');
    stops.push(await page.evaluate(() => {
      const { activeElement: of } = document;
      return [of.id || of.className || of.getAttribute('href'), getComputedStyle(of).outlineStyle];
    }));
  }
  assert.deepEqual(stops, [['pause', 'solid'], ['list', 'solid'], ['status.json', 'solid']]);
  await page.locator('#pause').focus();
  await page.keyboard.press('Space');
  assert.equal(await page.locator('#pause').getAttribute('aria-pressed'), 'true');
  assert.match(await page.locator('#fresh').textContent(), /^paused/);
  await page.keyboard.press('Enter');
  await until('it goes on', async () => /^live/.test(await page.locator('#fresh').textContent()));
  assert.equal(await page.evaluate(() => document.activeElement.id), 'pause', 'what is drawn anew does not take the focus away');
  await close();
});

test('a screen reader finds headings, tables with headers, and one place for news', async () => {
  const { page, close } = await open();
  await until('it is there', async () => await page.locator('#all').isVisible());
  for (const [role, name] of [['heading', 'All 3 servers take calls'], ['table', 'Servers'], ['table', 'Tokens'], ['region', 'Last changes'], ['rowheader', /^primary/], ['columnheader', 'Breaker'], ['button', 'Pause'], ['list', 'Switches']]) {
    assert.ok(await page.getByRole(role, { name }).first().count() > 0, `${role} ${name}`);
  }
  assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('[aria-live]')].map((of) => of.getAttribute('aria-live'))), ['polite']);
  await close();
});

// The contrast of two colours, by WCAG 2.2.
const contrast = (one, other) => {
  const luminance = (colour) => {
    const parts = colour.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};

test('light and dark, at every width, every text can be read and nothing runs out of the page', async () => {
  await servers[0].die();
  await calls(4);
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [360, 768, 1280]) {
      const { page, seen, close } = await open({ colorScheme, viewport: { width, height: 800 } });
      await until('it is out', async () => /primary/.test(await headline(page)));
      const texts = await page.evaluate(() => {
        const ground = (of) => {
          for (let at = of; at; at = at.parentElement) {
            const { backgroundColor } = getComputedStyle(at);
            if (!/, 0\)$/.test(backgroundColor)) return backgroundColor;
          }
          return 'rgb(255, 255, 255)';
        };
        const has = (of) => [...of.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        const all = [...document.querySelectorAll('body *')].filter((of) => has(of) && of.checkVisibility() && !['SCRIPT', 'STYLE'].includes(of.tagName));
        return all.map((of) => [of.textContent.slice(0, 40), getComputedStyle(of).color, ground(of)]);
      });
      assert.ok(texts.length > 30, `${texts.length}`);
      for (const [text, colour, ground] of texts) assert.ok(contrast(colour, ground) >= 4.5, `${colorScheme} ${width}: ${text}: ${colour} on ${ground}`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `${colorScheme} ${width}: it has to be pushed sideways`);
      if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${colorScheme}-${width}.png`), fullPage: true });
      assert.deepEqual(seen.complaints, []);
      await close();
    }
  }
  await servers[0].rise();
});

test('what a name says is text, whatever it says', async () => {
  const { page, seen, close } = await open();
  const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  await page.route('**/status.json', async (route) => {
    const answer = await route.fetch();
    const told = await answer.json();
    told.servers[0].server = evil;
    told.tasks_off = [evil];
    await route.fulfill({ response: answer, json: told });
  });
  await until('it is shown', async () => (await page.locator('#servers').textContent()).includes(evil));
  assert.equal(await page.locator('#servers img, #switches img, main script').count(), 0);
  assert.doesNotMatch(await page.title(), /^[12]$/);
  assert.deepEqual(seen.complaints, []);
  // The policy itself holds as well, whoever would put HTML in.
  const refused = await page.evaluate(() => { try { document.body.innerHTML = '<b>x</b>'; return ''; } catch (error) { return error.name; } });
  assert.equal(refused, 'TypeError');
  await close();
});

test('it is not on the port of MCP clients, and under no name that nobody has allowed', async () => {
  for (const path of ['', 'status.json']) assert.equal((await fetch(`http://127.0.0.1:${envoy.port}/${path}`)).status, 404);
  const status = (method, path, host) => new Promise((resolve, reject) => {
    const asked = request({ port: envoy.statusPort, method, path, headers: { host } }, (answer) => { answer.resume(); resolve([answer.statusCode, answer.headers]); });
    asked.on('error', reject).end();
  });
  for (const path of ['/', '/status.json', '/other']) {
    assert.equal((await status('GET', path, 'evil.example'))[0], 403);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) assert.equal((await status(method, path, 'localhost'))[0], path === '/other' ? 404 : 405, method);
  }
  for (const path of ['/', '/status.json']) {
    const [found, headers] = await status('HEAD', path, 'localhost');
    assert.equal(found, 200);
    assert.deepEqual([headers['cache-control'], headers['x-content-type-options'], headers['x-frame-options']], ['no-store', 'nosniff', 'DENY']);
    if (path === '/') assert.match(headers['content-security-policy'], /^default-src 'none'; .*frame-ancestors 'none'/);
  }
});

test('a browser is asked for the token, and what it shows is as without one', async () => {
  const guarded = await Envoy.start(servers, { token_file: 'status-token.json' });
  try {
    const status = async (authorization, method = 'GET', path = '') => (await fetch(guarded.page + path, { method, headers: authorization ? { authorization } : {} })).status;
    assert.deepEqual([await status(), await status('Bearer wrong'), await status('Bearer the-token-of-operators')], [401, 401, 200]);
    assert.deepEqual([await status(undefined, 'GET', 'status.json'), await status('Bearer the-token-of-operators', 'POST')], [401, 405]);
    const httpCredentials = { username: 'anybody', password: 'the-token-of-operators' };
    const { page, seen, close } = await open({ at: guarded.page, httpCredentials });
    await until('it is there', async () => /servers take calls/.test(await headline(page)));
    assert.deepEqual(seen.complaints.filter((text) => !text.includes('401')), []);
    const dump = await (await fetch(`http://127.0.0.1:${guarded.adminPort}/config_dump?include_eds`)).text();
    assert.doesNotMatch(dump, /the-token-of-operators/);
    await close();
  } finally {
    await guarded.end();
  }
});
